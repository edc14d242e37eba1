#!/bin/sh
# Runs playbook.yml; callback_plugins/json_steps.py turns its tasks into steps.
# Where Ansible is not installed it fails and says so: nothing was deployed.
set -eu

if [ "${1:-}" != "--config" ] || [ $# -ne 2 ]; then
    echo "usage: deploy.sh --config FILE" >&2
    exit 2
fi
config=$2
cd "$(dirname "$0")"

# The folder the playbook works in, made absolute.
ANSIBLE_SITE_DIR=$(python3 -c '
import json, os, sys
given = json.load(open(sys.argv[1], encoding="utf-8"))
env = (given.get("context") or {}).get("env") or {}
print(os.path.realpath(env.get("ANSIBLE_SITE_DIR") or "../../../target/ansible-site"))
' "$config")
export ANSIBLE_SITE_DIR
if [ "$ANSIBLE_SITE_DIR" = / ]; then
    echo "ANSIBLE_SITE_DIR must be a folder of its own, not /" >&2
    exit 2
fi

if ! command -v ansible-playbook >/dev/null 2>&1; then
    echo "ansible-playbook is not in PATH: $PATH" >&2
    # The server knows the playbook's tasks already; the ones that are never reported end as skipped.
    echo '{"name": "Gathering Facts", "state": "failure", "error_message": "ansible-playbook is not installed (apt-get install ansible-core)"}'
    exit 127
fi

# Steps instead of Ansible's usual output, and its own files kept in the site's folder.
export ANSIBLE_CALLBACK_PLUGINS="$PWD/callback_plugins"
export ANSIBLE_STDOUT_CALLBACK=json_steps
export ANSIBLE_HOME="$ANSIBLE_SITE_DIR/.ansible"
export ANSIBLE_LOCAL_TEMP="$ANSIBLE_HOME/tmp"
export ANSIBLE_REMOTE_TEMP="$ANSIBLE_HOME/tmp"
export ANSIBLE_RETRY_FILES_ENABLED=false
export ANSIBLE_NOCOLOR=true
export PYTHONDONTWRITEBYTECODE=1
export LC_ALL=C.UTF-8  # Ansible refuses any locale that is not UTF-8

exec ansible-playbook --inventory localhost, playbook.yml
