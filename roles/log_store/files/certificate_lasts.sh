#!/bin/sh
# Exit code 0 where the authority's and the server's certificate last, belong together, and the server's is for exactly these names.
#   certificate_lasts.sh DIRECTORY SECONDS DNS:NAME,IP:ADDRESS...
cd "$1" && [ -s server.key ] || exit 1
for file in ca.crt server.crt; do openssl x509 -noout -checkend "$2" -in $file || exit 1; done
openssl verify -CAfile ca.crt server.crt || exit 1
[ "$(openssl x509 -noout -ext subjectAltName -in server.crt | tail -n +2 | tr -d ' ' | sed 's/IPAddress:/IP:/g')" = "$3" ]
