package main

import (
	"strings"
	"testing"

	"github.com/overread/overread/internal/pgtest"
	"github.com/overread/overread/workflow"
)

func TestATemplateIsCheckedSetListedAndShown(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	at := func(args ...string) []string { return append(args, "--database-url", db.URL) }
	ours := "title: Chest\nwhen: {modality: [CT], bodySite: [chest]}\nsections:\n- {id: lungs, title: Lungs, normal: Clear.}\n"
	file := written(t, "chest.yaml", ours)
	wrong := written(t, "wrong.yaml", "title: Chest\nwhen: {modality: [CT]}\nsections:\n- {id: lungs, title: Lungs, normall: Clear.}\n")
	out, err := overreadOutput(t, "template", "check", wrong)
	if err == nil || !strings.Contains(out, wrong+": line 4: sections[0].normall is no setting; did you mean normal?\n") {
		t.Errorf("%v: %s", err, out)
	}
	if out, err = overreadOutput(t, "template", "check", file); err != nil || !strings.Contains(out, "is a template with 1 section ") {
		t.Errorf("%v: %s", err, out)
	}
	if out, err = overreadOutput(t, "template", "schema"); err != nil || out != string(workflow.TemplateSchema()) {
		t.Errorf("%v: %.100s", err, out)
	}
	if out, err = overreadOutput(t, at("tenant", "create", "north")...); err != nil {
		t.Fatal(err, out)
	}
	for _, args := range [][]string{{"template", "set", "north", "ct-chest", wrong}, {"template", "set", "north", "CT chest", file}} {
		if _, err = overreadOutput(t, at(args...)...); err == nil {
			t.Errorf("%v is taken", args)
		}
	}
	if out, err = overreadOutput(t, at("template", "set", "north", "ct-chest", file, "--note", "as agreed")...); err != nil || !strings.Contains(out, "version 1 of ct-chest") {
		t.Errorf("%v: %s", err, out)
	}
	if out, err = overreadOutput(t, at("template", "set", "north", "ct-chest", file)...); err != nil || !strings.Contains(out, "nothing changes") {
		t.Errorf("%v: %s", err, out)
	}
	out, err = overreadOutput(t, at("template", "list", "north")...)
	if lines := strings.Split(strings.TrimSpace(out), "\n"); err != nil || len(lines) != len(workflow.ProgramTemplates()) || !strings.HasPrefix(lines[0], "ct-chest  ") || !strings.Contains(lines[1], "program") {
		t.Errorf("%v: %s", err, out)
	}
	if out, err = overreadOutput(t, at("template", "show", "north", "ct-chest")...); err != nil || out != ours {
		t.Errorf("%v: %s", err, out)
	}
	if out, err = overreadOutput(t, at("template", "show", "north", "ct-chest", "--version", "0")...); err != nil || !strings.Contains(out, "title: CT of the chest") {
		t.Errorf("%v: %s", err, out)
	}
	var events int
	err = db.Owner(t).QueryRow(t.Context(), `
		SELECT count(*)
		FROM (SELECT body FROM audit_event UNION ALL SELECT records FROM audit_inbox) e
		WHERE convert_from(body, 'UTF8') LIKE '%template-set%'`).Scan(&events)
	if err != nil || events != 1 {
		t.Errorf("%d AuditEvents of one set: %v", events, err)
	}
}
