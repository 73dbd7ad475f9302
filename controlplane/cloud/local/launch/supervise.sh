# supervise.sh OUTER INNER RESTART LOG COMMAND...
# Joins the cgroups whose cgroup.procs files OUTER lists, and leaves a detached process there
# that runs COMMAND in the cgroups of INNER, again whenever it exits with status RESTART, and
# hands SIGTERM on to it. The caller's process ends as soon as that one is on its way, and with
# it the lock that it has inherited as descriptor 3.
set -eu
outer=$1 inner=$2 restart=$3 log=$4
shift 4
umask 022
for procs in $outer; do echo 0 >"$procs"; done
(
	child=
	trap '[ -z "$child" ] || kill -TERM "$child" 2>/dev/null || :' TERM
	while :; do
		(
			trap - TERM
			for procs in $inner; do echo 0 >"$procs"; done
			exec "$@"
		) &
		child=$!
		status=0
		wait "$child" || status=$?
		while kill -0 "$child" 2>/dev/null; do # the signal interrupted wait
			status=0
			wait "$child" || status=$?
		done
		[ "$restart" -ne 0 ] && [ "$status" -eq "$restart" ] || exit "$status"
	done
) </dev/null >>"$log" 2>&1 3>&- &
