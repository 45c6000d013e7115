#!/bin/sh
# Install the Debian packages named as arguments that are not installed yet, by sudo where we are not root.
set -eu
installed=$(dpkg-query -W -f '${Package} ${Status}\n' "$@" 2>/dev/null | sed -n 's/ install ok installed$//p') || :
missing=
for p in "$@"; do
    case "
$installed
" in *"
$p
"*) ;; *) missing="$missing $p" ;; esac
done
[ -z "$missing" ] && exit 0
command -v apt-get >/dev/null || { echo "please install:$missing" >&2; exit 1; }
sudo=
[ "$(id -u)" = 0 ] || sudo=sudo
echo "installing:$missing" >&2
$sudo apt-get update -qq
DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends $missing >/dev/null
