# Servers for tests of the remote tier, on loopback, at free ports; a script sources this. Each *_start DIR sets up a
# server in a new folder DIR and leaves its pid in DIR/pid; server_stop DIR ends it. *_start fails with a line on stderr
# where the server is not to be had. What a start sets:
#   nginx_start   NGINX_HTTP, NGINX_HTTPS: URLs, below each /open for all and /private for NGINX_USER with NGINX_PASSWORD
#                 (NGINX_HTTPS needs NGINX_CA), /full has no room, files lie in DIR/root
#   s3_verifier_start, s3rver_start   S3_ENDPOINT, S3_BUCKET, S3_ACCESS_KEY, S3_SECRET_KEY, S3_TOKEN ("": none)
remote_tests=${remote_tests:-tests/remote} # where this lies

free_ports() { # N
    python3 -c 'import socket, sys
s = [socket.create_server(("127.0.0.1", 0)) for _ in range(int(sys.argv[1]))]
print(*[x.getsockname()[1] for x in s])' "$1"
}
# Is something listening there? Waits for it, as long as the process lives.
wait_for_port() { # PORT PID
    python3 - "$@" <<'END'
import os, socket, sys, time
port, pid = int(sys.argv[1]), int(sys.argv[2])
for _ in range(600):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        sys.exit(0)
    except OSError:
        time.sleep(0.05)
    try:
        if open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[0] == "Z":
            break
    except OSError:
        break
sys.exit(1)
END
}
server_stop() { # DIR
    [ -e "$1/pid" ] || return 0
    kill "$(cat "$1/pid")" 2>/dev/null || :
    wait "$(cat "$1/pid")" 2>/dev/null || :
    rm -f "$1/pid"
}

nginx_certificates() { # DIR
    (
        cd "$1"
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout ca.key -out ca.pem -days 2 \
            -subj "/CN=weft test CA"
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout key.pem -out csr.pem \
            -subj /CN=localhost
        printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\n' >ext
        openssl x509 -req -in csr.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out cert.pem
    ) 2>"$1/openssl.log"
}
nginx_config() { # DIR HTTP_PORT HTTPS_PORT
    [ "$(id -u)" != 0 ] || echo "user root;"
    cat <<END
worker_processes 1; pid $1/nginx.pid; error_log $1/error.log warn; daemon off;
events { worker_connections 256; }
http {
  access_log $1/access.log; client_max_body_size 0;
  client_body_temp_path $1/body; proxy_temp_path $1/tmp; fastcgi_temp_path $1/tmp; uwsgi_temp_path $1/tmp;
  scgi_temp_path $1/tmp;
  server {
    listen 127.0.0.1:$2; listen 127.0.0.1:$3 ssl http2;
    ssl_certificate $1/cert.pem; ssl_certificate_key $1/key.pem;
    root $1/root; dav_methods PUT; create_full_put_path on;
    location /open/ { }
    location /private/ { auth_basic weft; auth_basic_user_file $1/htpasswd; }
    location /full/ { if (\$request_method = PUT) { return 507; } }
  }
}
END
}
nginx_start() { # DIR
    PATH=$PATH:/usr/sbin:$(cd "$remote_tests/../.." && pwd)/build/nginx/usr/sbin # see tests/nginx.sh
    for needed_ in nginx openssl python3; do
        command -v $needed_ >/dev/null || { echo "$needed_ is not installed" >&2; return 1; }
    done
    mkdir -p "$1/root/open" "$1/root/private" "$1/root/full" "$1/tmp" "$1/body"
    nginx_certificates "$1" || return 1
    NGINX_USER=weft NGINX_PASSWORD="open sesame" NGINX_CA=$1/ca.pem
    printf '%s:%s\n' "$NGINX_USER" "$(openssl passwd -apr1 "$NGINX_PASSWORD")" >"$1/htpasswd"
    for try_ in 1 2 3 4 5; do # a port may be taken meanwhile
        # shellcheck disable=SC2046
        set -- "$1" $(free_ports 2)
        nginx_config "$1" "$2" "$3" >"$1/nginx.conf"
        nginx -p "$1" -c "$1/nginx.conf" -e "$1/error.log" 2>"$1/nginx.log" &
        echo $! >"$1/pid"
        if wait_for_port "$2" "$(cat "$1/pid")"; then
            NGINX_HTTP=http://127.0.0.1:$2 NGINX_HTTPS=https://127.0.0.1:$3
            return 0
        fi
        server_stop "$1"
    done
    echo "nginx does not start: $(cat "$1/nginx.log" "$1/error.log")" >&2
    return 1
}

s3_verifier_start() { # DIR
    command -v python3 >/dev/null || { echo "python3 is not installed" >&2; return 1; }
    S3_BUCKET=weft-test S3_ACCESS_KEY=AKIDTEST S3_SECRET_KEY="very/secret+key" S3_TOKEN="a/session+token="
    mkdir -p "$1"
    # shellcheck disable=SC2046
    set -- "$1" $(free_ports 1)
    python3 "$remote_tests/s3_verifier.py" --port "$2" --access-key "$S3_ACCESS_KEY" --secret-key "$S3_SECRET_KEY" \
        --token "$S3_TOKEN" --region us-east-1 2>"$1/verifier.log" &
    echo $! >"$1/pid"
    S3_ENDPOINT=http://127.0.0.1:$2
    wait_for_port "$2" "$(cat "$1/pid")" || { cat "$1/verifier.log" >&2; server_stop "$1"; return 1; }
}

# Of npm, at the versions and digests of s3rver/package-lock.json; it does not look at signatures.
s3rver_start() { # DIR [FOLDER it is installed in, and kept]
    command -v npm >/dev/null && command -v node >/dev/null || { echo "node and npm are not installed" >&2; return 1; }
    where_=${2:-$remote_tests/../../build/s3rver}
    main_=$where_/node_modules/s3rver/bin/s3rver.js
    if [ ! -e "$main_" ]; then
        rm -rf "$where_"; mkdir -p "$where_"; cp "$remote_tests"/s3rver/package*.json "$where_"
        (cd "$where_" && timeout 120 npm ci --no-audit --no-fund --ignore-scripts --fetch-retries=0 --fetch-timeout=20000) \
            >"$where_/npm.log" 2>&1 && [ -e "$main_" ] || {
            echo "npm cannot get s3rver: $(grep -m 1 'npm error' "$where_/npm.log")" >&2
            rm -rf "$where_"
            return 1
        }
    fi
    S3_BUCKET=weft-test S3_ACCESS_KEY=S3RVER S3_SECRET_KEY=S3RVER S3_TOKEN=
    mkdir -p "$1/data"
    # shellcheck disable=SC2046
    set -- "$1" $(free_ports 1)
    node "$main_" --silent --address 127.0.0.1 --port "$2" --directory "$1/data" --configure-bucket "$S3_BUCKET" \
        >"$1/s3rver.log" 2>&1 &
    echo $! >"$1/pid"
    S3_ENDPOINT=http://127.0.0.1:$2
    wait_for_port "$2" "$(cat "$1/pid")" || { cat "$1/s3rver.log" >&2; server_stop "$1"; return 1; }
}
