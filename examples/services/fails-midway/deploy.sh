#!/bin/sh
# Fails in its third step of four, on purpose. Nothing is read or changed.
set -eu

# report NAME STATE [KEY TEXT]: one step line. The texts here are fixed and
# hold nothing that JSON would need escaped; texts from elsewhere may.
report() {
    if [ $# -eq 4 ]; then
        printf '{"name": "%s", "state": "%s", "%s": "%s"}\n' "$1" "$2" "$3" "$4"
    else
        printf '{"name": "%s", "state": "%s"}\n' "$1" "$2"
    fi
}

report "Check settings" running
echo "settings are complete"
report "Check settings" success message "2 settings"

report "Back up data" running
echo "copied 3 tables"
report "Back up data" success message "3 tables"

report "Migrate data" running
echo "migration 0007: adding column 'owner' to table 'sites'" >&2
echo "migration 0007: the column exists already" >&2
report "Migrate data" failure error_message "migration 0007 failed: column 'owner' exists already"

# "Restart" is never reported: the exit code ends the run here.
exit 3
