#!/bin/sh
# weft fetch from a real web server: nginx plays the hub on one port and the host that large files come from on another;
# ranges, redirects, tokens, TLS, 401, 404, 429, wrong content, silence, and a server that dies in the middle.
. "$(dirname "$0")/lib.sh"
nginx=$(PATH=$PATH:/usr/sbin:/sbin:$here/../../build/nginx/usr/sbin command -v nginx) || { echo "nginx is not installed"; exit 77; }
unset HF_TOKEN http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY SSL_CERT_FILE
server=
trap 'stop; rm -rf "$tmp"' EXIT
stop() { [ -z "$server" ] || { kill $server; wait $server 2>/dev/null; server=; }; }
ports=$(python3 -c 'import socket
s = [socket.create_server(("127.0.0.1", 0)) for i in range(3)]
print(*(x.getsockname()[1] for x in s))')
read -r port cdn tls <<P
$ports
P
commit=$(printf 'c%.0s' $(seq 40))

# -- repositories: NAME has config.json and weights of SIZE bytes; the lists are files
python3 - $commit <<'P' || exit 1
import hashlib, json, os, random, sys
for name, size in {"plain": 300000, "gated": 2000, "busy": 2000, "slow": 2000000, "hang": 200000, "other": 2000}.items():
    at = f"hub/acme/{name}/resolve/{sys.argv[1]}"
    os.makedirs(at + "/sub")
    files = {"config.json": b'{"a": 1}\n', "sub/a b.txt": b"text\n", "w.safetensors": random.Random(name).randbytes(size)}
    rows = []
    for file, data in files.items():
        open(f"{at}/{file}", "wb").write(data)
        row = {"rfilename": file, "size": len(data), "blobId": hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()}
        if len(data) > 1000:
            row["lfs"] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
        rows.append(row)
    api = f"hub/api/models/acme/{name}/revision"
    os.makedirs(api)
    for revision in "main", sys.argv[1]:
        json.dump({"sha": sys.argv[1], "siblings": rows}, open(f"{api}/{revision}.json", "w"))
P
mkdir -p web
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout web/key.pem -out web/cert.pem \
    -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1 2>/dev/null || { echo "no openssl"; exit 77; }
user=; [ "$(id -u)" != 0 ] || user="user root;"
cat >web/nginx.conf <<C
$user worker_processes 1; daemon off; pid $tmp/web/pid; error_log $tmp/web/error.log warn;
events { worker_connections 64; }
http {
  log_format short '\$server_port \$status \$request_uri "\$http_range" "\$http_authorization"';
  access_log $tmp/web/log short;
  client_body_temp_path $tmp/web/t1; proxy_temp_path $tmp/web/t2; fastcgi_temp_path $tmp/web/t3;
  uwsgi_temp_path $tmp/web/t4; scgi_temp_path $tmp/web/t5;
  limit_req_zone \$server_port zone=busy:1m rate=2r/s; limit_req_status 429;
  root $tmp/hub;
  server {
    listen 127.0.0.1:$port;
    listen 127.0.0.1:$tls ssl; ssl_certificate $tmp/web/cert.pem; ssl_certificate_key $tmp/web/key.pem;
    location /api/ { try_files \$uri.json =404; }
    location /api/models/acme/gated/ {
      if (\$http_authorization != "Bearer sesame") { return 401; }
      try_files \$uri.json =404;
    }
    location /acme/busy/ { limit_req zone=busy; add_header Retry-After 1 always; }
    location ~ ^/acme/(plain|gated|slow|hang)/.*safetensors\$ { return 302 http://127.0.0.1:$cdn\$request_uri; }
  }
  server {
    listen 127.0.0.1:$cdn;
    location /acme/slow/ { limit_rate 400k; }
    location /acme/hang/ { limit_rate 1; }
  }
}
C
start() {
    "$nginx" -p web -c "$tmp/web/nginx.conf" -e "$tmp/web/error.log" 2>web/out & server=$!
    wait_until 20 test -s web/pid || { cat web/out web/error.log; echo "nginx does not start"; exit 1; }
}
start
HF_ENDPOINT=http://127.0.0.1:$port; export HF_ENDPOINT
settings() { mkdir -p store; echo "{\"fetch_tries\": $1, \"fetch_silence\": 1}" >store/config; }
gone() { ! alive "$1"; } # PID
asked() { cat web/log; : >web/log; }
tree() { diff -r "$(cat out)" hub/acme/$2/resolve/$commit >diff || wrong "$1" "another tree"; } # NAME REPOSITORY

# -- all of it, with a token: it stays at the hub
settings 4
HF_TOKEN=sesame "$WEFT" fetch hf://acme/plain >out 2>err; exits "plain" 0 $?; tree "plain" plain
asked >log
[ "$(grep -c "^$port .*\"Bearer sesame\"$" log)" = 4 ] || wrong "plain" "the token is not used"
grep -q "^$cdn 200 /acme/plain/.* \"-\" \"-\"$" log || wrong "plain" "the token goes along"

# -- refused, and not there
try fetch hf://acme/gated; exits "401" 2; says "401" "set HF_TOKEN"
HF_TOKEN=guess "$WEFT" fetch hf://acme/gated >out 2>err; exits "wrong token" 2 $?; says "wrong token" "does not take the token"
grep -q guess err && wrong "wrong token" "tells the token"
HF_TOKEN=sesame "$WEFT" fetch hf://acme/gated >out 2>err; exits "token" 0 $?; tree "token" gated
try fetch hf://acme/none; exits "404" 2; says "404" "no repository 'acme/none'"
asked >log; [ "$(grep -c "acme/none" log)" = 1 ] || wrong "404" "is tried again"

# -- too many requests: it waits as told, and goes on
try fetch hf://acme/busy; exits "429" 0; tree "429" busy
asked >log; grep -q "^$port 429 /acme/busy/" log || wrong "429" "there was none"

# -- TLS: with the server's certificate, and not without
HF_ENDPOINT=https://127.0.0.1:$tls SSL_CERT_FILE=$tmp/web/cert.pem "$WEFT" fetch hf://acme/other >out 2>err
exits "TLS" 0 $?; tree "TLS" other
settings 1
HF_ENDPOINT=https://127.0.0.1:$tls "$WEFT" fetch hf://acme/other --update >out 2>err; exits "unknown CA" 1 $?
says "unknown CA" "certificate"
# a redirect from https to http is none
HF_ENDPOINT=https://127.0.0.1:$tls SSL_CERT_FILE=$tmp/web/cert.pem "$WEFT" fetch hf://acme/slow >out 2>err
exits "to http" 1 $?; asked >log; grep -q "^$cdn " log && wrong "to http" "is followed"

# -- through a proxy: the host's name need not be known here
rm -rf store/fetched/hub/models/acme/other
HF_ENDPOINT=http://hub.invalid http_proxy=http://127.0.0.1:$port "$WEFT" fetch hf://acme/other >out 2>err
exits "proxy" 0 $?; tree "proxy" other

# -- other content than the list says
cp hub/acme/other/resolve/$commit/config.json kept; echo '{"a": 2}' >hub/acme/other/resolve/$commit/config.json
rm -rf store/fetched/hub/models/acme/other
try fetch hf://acme/other; exits "wrong" 1; says "wrong" "what the server sends is not the content with git's SHA-1"
cp kept hub/acme/other/resolve/$commit/config.json
try fetch hf://acme/other; exits "right" 0; tree "right" other

# -- a server that says next to nothing: no end, but an error
settings 2
try fetch hf://acme/hang; exits "hang" 1; says "hang" "nothing came for 1 seconds (tried 2 times)"

# -- the server dies in the middle and comes back: the transfer goes on where it was
settings 20
grown() { [ "$(find store/fetched/hub/models/acme/slow/$commit/parts -size +200k 2>/dev/null | wc -l)" -gt 0 ]; }
"$WEFT" fetch hf://acme/slow >out 2>err & fetching=$!
wait_until 20 grown || wrong "dies" "does not begin"
asked >log; kill -STOP $server; workers=$(children $server) # a master at work would start others
kill -KILL $workers $server; wait $server 2>/dev/null; rm -f web/pid
for worker in $workers; do wait_until 10 gone "$worker" || wrong "dies" "a worker of nginx lives on"; done
start
wait $fetching; exits "dies" 0 $?; tree "dies" slow
asked >log; grep -q "^$cdn 206 /acme/slow/.* \"bytes=[1-9][0-9]*-\" " log || wrong "dies" "begins anew"

# -- weft dies in the middle: the next one goes on, too
rm -rf store/fetched/hub/models/acme/slow
"$WEFT" fetch hf://acme/slow >out 2>err & fetching=$!
wait_until 20 grown || wrong "killed" "does not begin"
kill -9 $fetching; wait $fetching 2>/dev/null; asked >log
try fetch hf://acme/slow; exits "killed" 0; tree "killed" slow
asked >log; grep -q "^$cdn 206 /acme/slow/.* \"bytes=[1-9][0-9]*-\" " log || wrong "killed" "begins anew"
grep -q "config.json" log && wrong "killed" "asks for what was there"
[ -e store/fetched/hub/models/acme/slow/$commit/parts ] && wrong "killed" "parts are left"
exit $bad
