package main

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/integrations/dicomweb"
	"github.com/overread/overread/internal/outbound"
	"github.com/overread/overread/workflow"
)

// checkPACS asks every PACS about a study that there cannot be, as cases are
// looked up: that it has none shows that it answers, understands and lets us ask.
func checkPACS(ctx context.Context, conn *pgx.Conn, guard *outbound.Guard) []finding {
	type target struct {
		Tenant string
		workflow.Archive
	}
	var targets []target
	err := inSystem(ctx, conn, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT t.name AS tenant, p.pacs AS name, p.base_url, p.credential_file, p.issuers,
			       p.timeout_ms * interval '1 millisecond' AS timeout, false AS resting
			FROM pacs p
			JOIN tenant t USING (tenant_id)
			WHERE t.state <> 'moved'
			ORDER BY 1, 2`)
		if err != nil {
			return err
		}
		targets, err = pgx.CollectRows(rows, pgx.RowToStructByName[target])
		return err
	})
	if err != nil {
		return []finding{{"PACS", fail, err.Error(), "run: overread migrate"}}
	}
	client := dicomweb.New(version, guard, time.Now)
	var findings []finding
	for _, p := range targets {
		f := finding{Check: "PACS " + p.Tenant + "/" + p.Name, Verdict: ok, Detail: p.BaseURL + " answers"}
		asking, cancel := context.WithTimeout(ctx, min(p.Timeout, 10*time.Second))
		if s := client.Look(asking, p.Archive, workflow.Inquiry{UID: noStudyUID}); s.Answer != workflow.PACSAbsent {
			f.Verdict, f.Detail = fail, fmt.Sprintf("%s: %s, %s (status %d)", p.BaseURL, s.Answer, s.Reason, s.Status)
			f.Mend = pacsMends[s.Answer]
		}
		cancel()
		findings = append(findings, f)
	}
	return findings
}

// noStudyUID is below the nil UUID, which nothing is called by (PS3.5 B.2).
const noStudyUID = "2.25.0"

var pacsMends = map[workflow.PACSAnswer]string{
	workflow.PACSUnreachable: "start it, open the way to it (--outbound-allow), or correct it: overread pacs add",
	workflow.PACSRefused:     "renew the file of --credential-file, or ask the PACS's keeper for the right to search",
	workflow.PACSUnreadable:  "see that the base is that of DICOMweb (QIDO-RS): overread pacs add",
	workflow.PACSFound:       "ask the PACS's keeper: it finds a study that there cannot be",
}
