#!/bin/sh
# Named resources: what --unit takes, and how a program learns of its devices.
. "$(dirname "$0")/lib.sh"
cat >e.yaml <<'Y'
experiment: e
vars: { seed: 1 }
stages:
  a: { uses: synthetic, with: { domain: public, per_class: 1, size: 16, seed: "${seed}" } }
sweep: { seed: [1, 2] }
Y

# -- errors: found before anything runs
for command in run sweep; do
    refused() { # TEXT PATTERN [MORE]
        try $command e.yaml --unit "$1" ${3:+--unit "$3"}; exits "$command --unit $1" 2
        says "$command --unit $1" "^weft: error: $2\$"
        [ "$(wc -l <err)" = 1 ] || wrong "$command --unit $1" "more than a line"
    }
    refused gpu "--unit takes NAME=COUNT or NAME=\[ID,...\], such as licence=5, gpu=2 or gpu=\[0,2\], not 'gpu'"
    refused 2nd=1 "--unit takes .*, not '2nd=1': a name has letters, digits, - and _ and begins with a letter"
    refused a=many "--unit a: 'many' is neither a number between 0 and 1000000 nor a list of devices such as \[0,2\]"
    refused 'a=[0' "--unit a: '\[0' is no list of devices' numbers such as \[0,2\]"
    refused 'a=[0,0]' "--unit a: device 0 is there twice"
    refused a=1 "--unit: 'a' is given twice" a=2
    refused a-b=1 "--unit: 'a_b' and 'a-b' have the same variable" a_b=2
    CUDA_VISIBLE_DEVICES=; export CUDA_VISIBLE_DEVICES # none, whatever this machine has
    refused gpu=1 "--unit gpu=1: there are 0 here with CUDA_VISIBLE_DEVICES=; gpu=\[0,...\] names any"
    unset CUDA_VISIBLE_DEVICES
done
[ ! -e "$WEFT_STORE/runs" ] || [ -z "$(ls -A "$WEFT_STORE/runs")" ] || fail "something ran: $(ls "$WEFT_STORE/runs")"
try run e.yaml --unit; exits "no value" 2; says "no value" "option '--unit' needs a value: --unit NAME=COUNT"
try run e.yaml --unit 'gpu=[0, 2]' --unit licence=5 --unit 'fpga=[]'; exits "taken" 0

# -- a program is told its devices: a job as the engine writes it, given to a worker
program() { # UNITS [SET [ENV]]: what a program sees of devices, in env
    rm -rf made scratch; mkdir made scratch
    python3 - "$tmp" "$1" "${2-{\}}" "${3-[]}" >job <<'P'
import json, sys
tmp, units, set, env = sys.argv[1], *map(json.loads, sys.argv[2:])
params = {"argv": ["sh", "-c", 'env >"$WEFT_OUT_MADE/env"'], "files": {}, "env": env, "set": set, "version": 1,
          "outputs": {"made": "files"}, "inputs": []}
job = {"task": "t", "stage": "command", "version": 1, "params": params, "inputs": {}, "outputs": {"made": tmp + "/made"},
       "scratch": tmp + "/scratch", "threads": 1, "cpuset":"","nodes":"", "parent": 0}
if units is not None: job["units"] = units
json.dump(job, sys.stdout)
P
    "$WEFT" worker <job >out 2>err; rc=$?
    grep 'WEFT_UNIT\|VISIBLE' made/env 2>err.grep | sort >env
}

unset HIP_VISIBLE_DEVICES ROCR_VISIBLE_DEVICES
program '{"gpu": "0,2", "my-card": "5"}'; exits "devices" 0
same "devices" env <<'X'
CUDA_VISIBLE_DEVICES=0,2
HIP_VISIBLE_DEVICES=0,2
WEFT_UNIT_GPU=0,2
WEFT_UNIT_MY_CARD=5
X
program '{"gpu": "1"}' '{"CUDA_VISIBLE_DEVICES": "7", "ROCR_VISIBLE_DEVICES": "6"}'; exits "set" 0
same "set" env <<'X'
CUDA_VISIBLE_DEVICES=1
HIP_VISIBLE_DEVICES=1
ROCR_VISIBLE_DEVICES=6
WEFT_UNIT_GPU=1
X
# what weft itself inherited, in a task of another weft for example, is no device of this task
WEFT_UNIT_GPU=3 WEFT_UNIT_NET=4 CUDA_VISIBLE_DEVICES=3 HIP_VISIBLE_DEVICES=3
export WEFT_UNIT_GPU WEFT_UNIT_NET CUDA_VISIBLE_DEVICES HIP_VISIBLE_DEVICES
program null; exits "none" 0
same "none" env </dev/null
program '{"card": "1"}' '{}' '["CUDA_VISIBLE_DEVICES"]'; exits "lent" 0
same "lent" env <<'X'
CUDA_VISIBLE_DEVICES=3
WEFT_UNIT_CARD=1
X
program '{"gpu": "0 2"}'; exits "wrong job" 1
says "wrong job" "job: units: 'gpu' must be numbers of devices, \"0,2\""
[ $bad = 0 ]
