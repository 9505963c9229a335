#!/usr/bin/env bash
# verdict.sh: fails the job as `fail-on` asks, with the exit code of the verdict. The last step of action.yml.
set -euo pipefail

stop() { # EXIT MESSAGE
  printf '::error title=Ringfence::%s\n' "$2"
  exit "$1"
}

case $INPUT_FAIL_ON in
  denies | insufficient | never) ;;
  *) stop 2 "fail-on is none of denies, insufficient and never" ;;
esac
case $VERDICT in
  safe | skipped) ;;
  denies)
    [[ $INPUT_FAIL_ON == never ]] || stop 1 "Observed traffic would be denied or is already, or nothing enforces the policies; the report says which"
    ;;
  insufficient)
    [[ $INPUT_FAIL_ON != insufficient ]] || stop 3 "Too little was seen to say that nothing breaks"
    ;;
  # Also with `never`: a change that nobody could judge must not look like one that was found good.
  *) stop 2 "The change could not be judged; the log says why" ;;
esac
echo "verdict: $VERDICT (fail-on: $INPUT_FAIL_ON)"
