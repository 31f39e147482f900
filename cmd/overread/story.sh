BASE={{.Base}}
EHR={{.EHR}}
STORY='{{.Data}}/story'
PLACER="Authorization: Bearer $(cat '{{.Data}}/tokens/mercy-placer')"
READER="Authorization: Bearer $(cat '{{.Data}}/tokens/mercy-tanaka')"
JSON='Content-Type: application/fhir+json'
state() { sed 's/^{"resourceType":"Task".*"businessStatus":{"coding":\[{[^}]*"code":"\([a-z-]*\)".*/the case is now: \1/'; echo; }

# 1. The EHR sends the order: one transaction with patient, study, first report and ServiceRequest.
curl -sS -H "$PLACER" -H "$JSON" --data-binary @"$STORY/order.json" $BASE; echo

# 2. It has opened a case, which the EHR follows as a Task. The intake checks{{if .PACS}} look its images up in the PACS and{{end}} make it ready.
ORDER=$(curl -sS -H "$PLACER" "$BASE/ServiceRequest?identifier={{.Number}}" | sed -n 's/.*"resourceType":"ServiceRequest","id":"\([^"]*\)".*/\1/p')
TASK=$(curl -sS -H "$PLACER" "$BASE/Task?based-on=ServiceRequest/$ORDER" | sed -n 's/.*"resourceType":"Task","id":"\([^"]*\)".*/\1/p')
FIRST=$(curl -sS -H "$PLACER" "$BASE/DiagnosticReport?identifier={{.Number}}" | sed -n 's/.*"resourceType":"DiagnosticReport","id":"\([^"]*\)".*/\1/p')
until curl -sS -H "$PLACER" $BASE/Task/$TASK | state | grep ready; do sleep 1; done

# 3. Dr. Tanaka takes it and reads. The first report is withheld: 404.
curl -sS -H "$READER" -H "$JSON" --data-binary @"$STORY/claim.json" "$BASE/Task/$TASK/\$claim" | state
curl -sS -H "$READER" -X POST "$BASE/Task/$TASK/\$start" | state
curl -sS -H "$READER" -o /dev/null -w 'the first report, before the lock: %{http_code}\n' $BASE/DiagnosticReport/$FIRST

# 4. The independent opinion is sealed; only then is the first report shown: 200.
curl -sS -H "$READER" -H "$JSON" --data-binary @"$STORY/lock.json" "$BASE/Task/$TASK/\$lock" | state
curl -sS -H "$READER" -X POST "$BASE/Task/$TASK/\$reveal" | state
curl -sS -H "$READER" -o /dev/null -w 'the first report, after the reveal: %{http_code}\n' $BASE/DiagnosticReport/$FIRST

# 5. What differs is graded, and the report is signed.
curl -sS -H "$READER" -H "$JSON" --data-binary @"$STORY/grade.json" "$BASE/Task/$TASK/\$grade" | state
curl -sS -H "$READER" -X POST "$BASE/Task/$TASK/\$sign" | state

# 6. Within seconds the report stands in the EHR, with the EHR's own ids. To read it: {{.Page}}
until curl -sS "$EHR/DiagnosticReport?based-on=ServiceRequest/order-{{.Number}}&status=final" | grep '"total": *[1-9]' >/dev/null; do sleep 1; done
echo "the report has arrived: {{.Page}}"
