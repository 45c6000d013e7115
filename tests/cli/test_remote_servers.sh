#!/bin/sh
# The remote tier (tests/store/test_remote_server.c) with real servers: nginx, with TLS and passwords, and S3, of which one
# checks every signature.
. "$(dirname "$0")/lib.sh"
program=$(dirname "$WEFT")/tests/store/test_remote_server
[ -x "$program" ] || { echo "$program is not built"; exit 77; }
remote_tests=$here/../remote
. "$remote_tests/servers.sh"
trap 'server_stop nginx; server_stop s3; server_stop s3rver; rm -rf "$tmp"' EXIT
trap 'exit 1' INT TERM
unset WEFT_REMOTE_USER WEFT_REMOTE_PASSWORD WEFT_REMOTE_TOKEN WEFT_CA_FILE CURL_CA_BUNDLE SSL_CERT_FILE NETRC
export no_proxy="*" HOME="$tmp"
ran=0
with() { # NAME VARIABLE=VALUE...
    name=$1; shift
    ran=$((ran + 1)); echo "$name"
    timeout 300 env "$@" "$program" >out 2>err || wrong "$name" "exit $?"
}
# Two engines with stores of their own: what the first computed of public data, the second has.
share() { # NAME URL VARIABLE=VALUE...
    name="$1, shared" url=$2; shift 2
    ran=$((ran + 1)); echo "$name"
    for store in one two; do
        env "$@" "$WEFT" run "$here/tiny.yaml" --json --remote "$url" --store "share/$store" >out 2>err || wrong "$name" "exit $?"
        python3 -c 'import json
for t in json.load(open("out"))["tasks"]: print(t["task"], t["key"], sorted(t["outputs"].items()))' >"share.$store"
    done
    grep -q ": 8 hits, 0 uploads; .* received, 0 B sent$" err || wrong "$name" "the second has not 8 hits"
    cmp -s share.one share.two || wrong "$name" "they differ"
    rm -rf share
}

# -- nginx
missing=
nginx_start "$tmp/nginx" 2>why || missing=$(cat why)
if [ -z "$missing" ]; then
    user="WEFT_REMOTE_USER=$NGINX_USER" password="WEFT_REMOTE_PASSWORD=$NGINX_PASSWORD"
    ca="WEFT_CA_FILE=$NGINX_CA"
    with "open" WEFT_TEST_REMOTE="$NGINX_HTTP/open/a/b"
    with "password" WEFT_TEST_REMOTE="$NGINX_HTTP/private" "$user" "$password"
    with "password in the URL" WEFT_TEST_REMOTE="http://$NGINX_USER:open%20sesame@${NGINX_HTTP#http://}/private/c"
    with "no password" WEFT_TEST_REMOTE="$NGINX_HTTP/private" WEFT_TEST_REFUSED=401
    with "wrong password" WEFT_TEST_REMOTE="$NGINX_HTTP/private" WEFT_TEST_REFUSED=401 "$user" WEFT_REMOTE_PASSWORD=sesame
    with "wrong token" WEFT_TEST_REMOTE="$NGINX_HTTP/private" WEFT_TEST_REFUSED=401 WEFT_REMOTE_TOKEN=sesame
    with "TLS" WEFT_TEST_REMOTE="$NGINX_HTTPS/private/d" "$user" "$password" "$ca"
    share "open" "$NGINX_HTTP/open/share"
    share "TLS and password" "$NGINX_HTTPS/private/share" "$user" "$password" "$ca"
    for variable in CURL_CA_BUNDLE SSL_CERT_FILE; do
        with "$variable" WEFT_TEST_REMOTE="$NGINX_HTTPS/open/$variable" "$variable=$NGINX_CA"
    done
    with "unknown certificate" WEFT_TEST_REMOTE="$NGINX_HTTPS/open" WEFT_TEST_REFUSED=certificate
    printf 'machine 127.0.0.1 login %s password "%s"\n' "$NGINX_USER" "$NGINX_PASSWORD" >netrc
    with "netrc" WEFT_TEST_REMOTE="$NGINX_HTTPS/private/e" NETRC="$tmp/netrc" "$ca"
    with "no room" WEFT_TEST_REMOTE="$NGINX_HTTP/full" WEFT_TEST_FULL=1
    with "nothing there" WEFT_TEST_REMOTE="http://127.0.0.1:$(free_ports 1)/x" WEFT_TEST_REFUSED=connect
    # both kinds of files are where other clients look for them
    [ "$(find nginx/root/open/a/b/ac -type f | wc -l)" = 5 ] || wrong "files" "not 5 records"
    [ "$(find nginx/root/open/a/b/cas -type f | wc -l)" = 5 ] || wrong "files" "not 5 objects"
    grep -rq "sesame" nginx/root && wrong "files" "a password is among them"
    server_stop nginx
fi

# -- S3
python3 "$remote_tests/s3_verifier.py" --self-test >out 2>err || wrong "verifier" "does not know the documentation's signatures"
s3() { # NAME VARIABLE=VALUE...: by the S3_* of the server
    name=$1; shift
    with "$name" WEFT_TEST_REMOTE="s3://$S3_BUCKET/some/prefix" WEFT_S3_ENDPOINT="$S3_ENDPOINT" AWS_REGION=us-east-1 \
        AWS_ACCESS_KEY_ID="$S3_ACCESS_KEY" AWS_SECRET_ACCESS_KEY="$S3_SECRET_KEY" AWS_SESSION_TOKEN="$S3_TOKEN" "$@"
}
s3_share() { # NAME
    share "$1" "s3://$S3_BUCKET/share" WEFT_S3_ENDPOINT="$S3_ENDPOINT" AWS_REGION=us-east-1 AWS_ACCESS_KEY_ID="$S3_ACCESS_KEY" \
        AWS_SECRET_ACCESS_KEY="$S3_SECRET_KEY" AWS_SESSION_TOKEN="$S3_TOKEN"
}
if s3_verifier_start "$tmp/s3"; then
    s3 "S3"
    s3_share "S3"
    counts() { python3 -c 'import json, sys, urllib.request
print(json.load(urllib.request.urlopen(sys.argv[1] + "/-/counts"))[sys.argv[2]])' "$S3_ENDPOINT" "$1"; }
    [ "$(counts refused)" = 0 ] || wrong "S3" "requests were refused: $(counts last)"
    [ "$(counts taken)" -gt 20 ] || wrong "S3" "it was hardly asked"
    s3 "S3, wrong secret" AWS_SECRET_ACCESS_KEY=other WEFT_TEST_REFUSED=403
    [ "$(counts last)" = signature ] || wrong "S3, wrong secret" "refused because of $(counts last)"
    s3 "S3, no session token" AWS_SESSION_TOKEN= WEFT_TEST_REFUSED=403
    [ "$(counts last)" = "session token" ] || wrong "S3, no session token" "refused because of $(counts last)"
    s3 "S3, another region" AWS_REGION=eu-west-1 WEFT_TEST_REFUSED=403
    server_stop s3
fi
if s3rver_start "$tmp/s3rver"; then
    s3 "s3rver"
    s3_share "s3rver"
    server_stop s3rver
fi
[ $ran -gt 0 ] || { echo "neither nginx nor S3 servers can be had here: $missing"; exit 77; }
[ -z "$missing" ] || [ $bad != 0 ] || { echo "only S3: $missing"; exit 77; }
exit $bad
