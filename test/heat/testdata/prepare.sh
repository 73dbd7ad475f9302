#!/bin/sh
# Makes a Debian into one that has Keystone, Heat and their database, with the schemas and the
# first administrator in place. Runs once, inside of the tree; what runs later is an overlay.
set -eu
say() { echo "heat: $*"; }
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8

say 'installing keystone, heat and mariadb'
printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d # no service starts by itself
chmod 755 /usr/sbin/policy-rc.d
apt-get update -qq
apt-get install -y -qq --no-install-recommends \
	keystone heat-engine heat-api heat-api-cfn mariadb-server python3-pymysql > /var/log/install.log 2>&1 ||
	{ tail -n 20 /var/log/install.log >&2; exit 1; }
apt-get clean

say 'making the databases'
cat > /etc/mysql/mariadb.conf.d/90-test.cnf <<'CNF'
[mariadbd]
skip-networking
innodb-log-file-size = 8M
innodb-flush-log-at-trx-commit = 0
max-connections = 200
CNF
mkdir -p /run/mysqld && chown mysql: /run/mysqld
mariadbd --user=mysql > /var/log/mariadb.log 2>&1 &
tries=0
until mariadb -e 'select 1' > /dev/null 2>&1; do
	tries=$((tries + 1))
	[ $tries -lt 300 ] || { tail -n 20 /var/log/mariadb.log >&2; exit 1; }
	sleep 0.2
done
for name in keystone heat; do
	mariadb -e "create database $name; grant all on $name.* to $name@localhost identified by '$name'"
done

cp /test/keystone.conf /etc/keystone/keystone.conf
cp /test/heat.conf /etc/heat/heat.conf
quiet() { "$@" > /var/log/setup.log 2>&1 || { tail -n 20 /var/log/setup.log >&2; exit 1; }; }
say 'making the schemas'
quiet keystone-manage db_sync
quiet keystone-manage fernet_setup --keystone-user keystone --keystone-group keystone
quiet keystone-manage credential_setup --keystone-user keystone --keystone-group keystone
quiet keystone-manage bootstrap --bootstrap-password admin --bootstrap-region-id RegionOne \
	--bootstrap-public-url http://127.0.0.1:5000/v3 --bootstrap-internal-url http://127.0.0.1:5000/v3
quiet heat-manage db_sync
mariadb-admin shutdown
wait
say 'the tree is ready'
