#!/bin/sh
# Makes the bucket of a URL such as http://s3:7070/logs, unless it is there; any server that speaks S3.
set -eu
url=$1
ask() { # CURL-FLAGS: the status of the answer
    curl --silent --show-error --output /dev/null --write-out '%{http_code}' --max-time 30 \
        --aws-sigv4 aws:amz:us-east-1:s3 --user "$S3_ACCESS_KEY:$S3_SECRET_KEY" "$@" "$url"
}
case $(ask --head) in
    200) echo "$url is there" ;;
    404)
        status=$(ask --request PUT --data '')
        echo "$url was made: status $status"
        test "$status" = 200
        ;;
    *)
        echo "$url cannot be looked at"
        exit 1
        ;;
esac
