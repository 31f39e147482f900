package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/pgtest"
	"github.com/overread/overread/workflow"
)

func TestAPolicyIsCheckedSetShownAndRemembered(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	at := func(verb ...string) []string { return append(verb, "--database-url", db.URL) }
	ours := "# ours\nassignment: offer\nclocks: {stat: {final: 90m}}\n"
	file := written(t, "policy.yaml", ours)
	wrong := written(t, "wrong.yaml", "assignment: lottery\nclocks:\n  stat:\n    fnal: 90m\n")

	out, err := overreadOutput(t, "policy", "check", wrong)
	if err == nil || out != wrong+": line 1: assignment must be one of offer, pool, batch\n"+wrong+": line 4: clocks.stat.fnal is no setting; did you mean final?\n" {
		t.Errorf("%v: %s", err, out)
	}
	out, err = overreadOutput(t, "policy", "check", file)
	if err != nil || !strings.Contains(out, "is a policy") {
		t.Errorf("%v: %s", err, out)
	}
	if out, err = overreadOutput(t, "policy", "schema"); err != nil || out != string(workflow.PolicySchema()) {
		t.Errorf("%v: %.100s", err, out)
	}

	if out, err = overreadOutput(t, at("tenant", "create", "north")...); err != nil {
		t.Fatal(err, out)
	}
	if _, err = overreadOutput(t, at("policy", "set", "north", wrong)...); err == nil {
		t.Error("a wrong policy is set")
	}
	changes := "assignment: \"pool\" -> \"offer\"\nclocks.stat.final: \"2h\" -> \"90m\"\n"
	out, err = overreadOutput(t, at("policy", "set", "north", file, "--dry-run")...)
	if err != nil || !strings.HasPrefix(out, changes) || !strings.Contains(out, "nothing was changed") {
		t.Errorf("%v: %s", err, out)
	}
	out, err = overreadOutput(t, at("policy", "set", "north", file, "--note", "as agreed")...)
	if err != nil || !strings.HasPrefix(out, changes) || !strings.Contains(out, "version 2") {
		t.Errorf("%v: %s", err, out)
	}
	out, err = overreadOutput(t, at("policy", "set", "north", file)...)
	if err != nil || !strings.Contains(out, "nothing changes") {
		t.Errorf("%v: %s", err, out)
	}

	for version, want := range map[string]string{"1": "{}\n", "2": ours, "0": ours} {
		if out, err = overreadOutput(t, at("policy", "show", "north", "--version", version)...); err != nil || out != want {
			t.Errorf("version %s: %v: %s", version, err, out)
		}
	}
	if _, err = overreadOutput(t, at("policy", "show", "north", "--version", "3")...); err == nil || !strings.Contains(err.Error(), "no version 3") {
		t.Error(err)
	}
	if out, err = overreadOutput(t, at("policy", "show", "north", "--whole")...); err != nil || !strings.Contains(out, `"imagesGiveUpDays": 30`) {
		t.Errorf("%v: %s", err, out)
	}
	out, err = overreadOutput(t, at("policy", "history", "north")...)
	if lines := strings.Split(strings.TrimSpace(out), "\n"); err != nil || len(lines) != 2 || !strings.HasPrefix(lines[1], "2  ") || !strings.HasSuffix(lines[1], "as agreed") {
		t.Errorf("%v: %s", err, out)
	}
	var events int
	err = db.Owner(t).QueryRow(t.Context(), `
		SELECT count(*)
		FROM (SELECT body FROM audit_event UNION ALL SELECT records FROM audit_inbox) e
		WHERE convert_from(body, 'UTF8') LIKE '%policy-set%'`).Scan(&events)
	if err != nil || events != 1 {
		t.Errorf("%d AuditEvents of one set: %v", events, err)
	}
}

// A release before this one knows tenant.policy only; what it had is version 1.
func TestMigratingMakesThePolicyOfThenTheFirstVersion(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	owner := db.Owner(t)
	tenant := pgtest.AddTenant(t, db, "north")
	for _, sql := range []string{
		`DROP TABLE tenant_policy`,
		`DROP TABLE mail, escalation, case_wait`,
		`ALTER TABLE case_file DROP COLUMN policy_version, DROP COLUMN policy_sha256, DROP COLUMN lapsed, DROP COLUMN offer_round`,
		`UPDATE tenant SET policy = '{"assignment": "offer"}'`,
		upSQL(t, "../../migrations/00026_clocks.sql"),
	} {
		if _, err := owner.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	err := db.System(t.Context(), func(tx pgx.Tx) error {
		v, err := workflow.PolicyVersionTx(t.Context(), tx, tenant, 0)
		if err == nil && (v.Version != 1 || string(v.Document) != `{"assignment": "offer"}`) {
			t.Errorf("%+v", v)
		}
		if p, err := workflow.ParsePolicy([]byte(v.Text)); err != nil || p.Assignment != workflow.ByOffer {
			t.Errorf("%v: %s", err, v.Text)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func upSQL(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func written(t *testing.T, name, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
