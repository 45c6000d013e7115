#!/bin/sh
# nginx for the tests, without installing it, as its package starts a daemon: nginx.sh DIR unpacks Debian's into DIR, whose
# usr/sbin/nginx the tests find. Does nothing where nginx is installed; says so where it cannot be had.
set -u
PATH=$PATH:/usr/sbin:/sbin
if command -v nginx >/dev/null || [ -x "$1/usr/sbin/nginx" ]; then exit 0; fi
no() { echo "no nginx ($1): tests that want it are skipped" >&2; exit 0; }
command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || no "not a Debian machine"
mkdir -p "$1" && cd "$1" || no "cannot make $1"
apt-get download nginx >log 2>&1 && dpkg-deb -x nginx_*.deb . >>log 2>&1 || no "$(tail -n 1 log)"
usr/sbin/nginx -v 2>>log || no "$(tail -n 1 log)"
