#!/bin/sh
# Makes what the containers authenticate with, in deploy/secrets, where it is missing. Delete a
# pair (broker_url and redis_acl, database_url and postgres_password) to have a new one made. Compose
# has no use for scaler_password: with it, KEDA asks how long the queue is.
set -eu
cd "$(dirname "$0")"
mkdir -p secrets
chmod 700 secrets
echo '*' > secrets/.gitignore
cd secrets

fresh() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }
digest() { printf %s "$1" | sha256sum | cut -d' ' -f1; }
# Compose mounts a file as it is on the host, so the user in the container must be able to read it.
# Others on the host cannot: the folder is closed to them.
keep() { (umask 022; cat > "$1"); }

if [ ! -e broker_url ] || [ ! -e redis_acl ]; then
    password=$(fresh)
    scaler=$(fresh)
    printf %s "$scaler" | keep scaler_password
    printf 'redis://omega:%s@redis:6379/0' "$password" | keep broker_url
    # All that kombu needs lies outside of @dangerous; EVALSHA and SCRIPT LOAD are said, because a
    # worker that may not use them ends. `health` can do nothing but be answered; `scaler` may ask
    # for the length of one list, by the script in which KEDA does so.
    keep redis_acl << ACL
user default off
user omega on #$(digest "$password") ~* &* +@all -@dangerous +evalsha +script|load
user health on nopass resetkeys resetchannels -@all +ping
user scaler on #$(digest "$scaler") ~decision resetchannels -@all +ping +hello +client|setinfo +eval +type +llen +zcard +scard +hlen
ACL
fi
if [ ! -e database_url ] || [ ! -e postgres_password ]; then
    password=$(fresh)
    printf %s "$password" | keep postgres_password
    printf 'postgresql://omega:%s@postgres:5432/omega' "$password" | keep database_url
fi
[ -e flower_auth ] || printf 'omega:%s' "$(fresh)" | keep flower_auth
