package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/fhir"
	"github.com/overread/overread/internal/standin"
)

// besides are what somebody does in the day that is no operation, or one that needs
// something of the moment; by the first words of it.
var besides = map[string]func(w *world, t *testing.T, o order, task string, c chapter) error{
	"send study":        (*world).sendsStudy,
	"heed":              (*world).heeds,
	"makes it stat":     (*world).makesItStat,
	"reassigns to ":     (*world).reassigns,
	"concurs":           (*world).concurs,
	"sees what changed": (*world).seesWhatChanged,
	"sees it answered": func(w *world, t *testing.T, o order, _ string, _ chapter) error {
		return w.chartSays(t, o, "completed")
	},
	"is alerted": func(w *world, t *testing.T, o order, _ string, _ chapter) error {
		return w.chartSays(t, o, "in-progress")
	},
	"is told":            (*world).isTold,
	"goes down":          (*world).ehrGoesDown,
	"is tried for hours": (*world).ehrIsTried,
	"has no report":      func(w *world, t *testing.T, o order, _ string, _ chapter) error { return w.noReport(t, o) },
	"comes back":         (*world).ehrComesBack,
	"sees 0 readings":    readings(0),
	"sees 1 readings":    readings(1),
	"sees 2 readings":    readings(2),
}

// sendsStudy sends the study anew, or over the half that is there.
func (w *world) sendsStudy(t *testing.T, o order, _ string, c chapter) error {
	o.quirk = asItShouldBe
	name := "urn:dicom:uid|urn:oid:" + o.studyUID()
	study := o.entry(o.study(), name)
	study.Get("resource").Remove("id") // the server has given it one of its own
	study.Set("request", fhir.Object("method", "PUT", "url", "ImagingStudy?identifier="+url.QueryEscape(name)))
	_, err := w.clients[o.hospital+"-"+c.who].send(t.Context(), http.MethodPost, "", fhir.Object("resourceType", "Bundle", "type", "transaction",
		"entry", []*fhir.Node{o.entry(o.patient.resource(), mrnSystem+"|"+o.patient.mrn), study}))
	return err
}

// heeds takes note of what was told, once the clock has spoken.
func (w *world) heeds(t *testing.T, o order, task string, c chapter) error {
	eventually(t, "somebody is to be told", func() error {
		_, err := w.clients[o.hospital+"-"+c.who].op(t.Context(), task, "heed", c.with...)
		return err
	})
	return nil
}

// makesItStat writes the order's priority, as EHRs do, and waits until the Task has it.
func (w *world) makesItStat(t *testing.T, o order, task string, c chapter) error {
	placer := w.clients[o.hospital+"-"+c.who]
	found, err := placer.get(t.Context(), "ServiceRequest?identifier="+placerSystem+"%7C"+o.number)
	if err != nil {
		return err
	}
	sr := found.Get("entry").Items()[0].Get("resource")
	sr.Set("priority", "stat")
	if _, err := placer.send(t.Context(), http.MethodPut, "ServiceRequest/"+sr.Text("id"), sr); err != nil {
		return err
	}
	eventually(t, "the case is to be a pressing one", func() error {
		n, err := placer.get(t.Context(), "Task/"+task)
		if err == nil && n.Text("priority") != "stat" {
			err = fmt.Errorf("its priority is %s", n.Text("priority"))
		}
		return err
	})
	return nil
}

// reassigns gives the case to somebody else, by their Practitioner.
func (w *world) reassigns(t *testing.T, o order, task string, c chapter) error {
	name := strings.TrimPrefix(c.does, "reassigns to ")
	var practitioner string
	err := w.db.Tenant(t.Context(), w.tenants[o.hospital], func(tx pgx.Tx) error {
		return tx.QueryRow(t.Context(), `SELECT practitioner_id FROM reader WHERE reader_id = $1`, readerID(name)).Scan(&practitioner)
	})
	if err != nil {
		return err
	}
	to := param("reader", "valueReference", fhir.Object("reference", "Practitioner/"+practitioner))
	_, err = w.clients[o.hospital+"-"+c.who].op(t.Context(), task, "reassign", append(c.with, to)...)
	return err
}

// sealed are the opinions that somebody may see ($readings).
func (w *world) sealed(ctx context.Context, o order, task, who string) ([]*fhir.Node, error) {
	n, err := w.clients[o.hospital+"-"+who].get(ctx, "Task/"+task+"/$readings")
	return n.Each("parameter"), err
}

func readings(want int) func(w *world, t *testing.T, o order, task string, c chapter) error {
	return func(w *world, t *testing.T, o order, task string, c chapter) error {
		list, err := w.sealed(t.Context(), o, task, c.who)
		if err == nil && len(list) != want {
			err = fmt.Errorf("there are %d", len(list))
		}
		return err
	}
}

// concurs stands by the text of the other one.
func (w *world) concurs(t *testing.T, o order, task string, c chapter) error {
	list, err := w.sealed(t.Context(), o, task, c.who)
	if err != nil {
		return err
	}
	for _, reading := range list {
		told := map[string]string{}
		for _, part := range reading.Each("part") {
			told[part.Text("name")] = part.Text("valueString") + part.Text("valueBoolean")
		}
		if told["own"] == "false" {
			_, err = w.clients[o.hospital+"-"+c.who].op(t.Context(), task, "concur", param("sha256", "valueString", told["sha256"]))
			return err
		}
	}
	return errors.New("there is no text of the other one")
}

// seesWhatChanged reads the difference of the first two versions.
func (w *world) seesWhatChanged(t *testing.T, o order, task string, c chapter) error {
	n, err := w.clients[o.hospital+"-"+c.who].get(t.Context(), "Task/"+task+"/$difference?from=1&to=2")
	if err == nil && !strings.Contains(string(n.Bytes()), "Unchanged for a year.") {
		err = fmt.Errorf("it does not say what was added: %s", n.Bytes())
	}
	return err
}

// isTold waits until the chain has come to somebody.
func (w *world) isTold(t *testing.T, o order, task string, c chapter) error {
	eventually(t, c.who+" is to be told", func() error {
		var told bool
		err := w.db.Tenant(t.Context(), w.tenants[o.hospital], func(tx pgx.Tx) error {
			return tx.QueryRow(t.Context(), `
				SELECT EXISTS (SELECT FROM escalation e JOIN case_file c ON c.tenant_id = e.tenant_id AND c.case_id = e.case_id
				               WHERE c.task_id = $1 AND e.tell = $2)`, task, c.who).Scan(&told)
		})
		if err == nil && !told {
			err = errors.New("nobody has")
		}
		return err
	})
	return nil
}

// ehrGoesDown cuts every connection about this order.
func (w *world) ehrGoesDown(_ *testing.T, o order, _ string, _ chapter) error {
	w.ehr.Order(standin.Fault{Mode: "down", Contains: o.number})
	return nil
}

// ehrIsTried lets the hours pass in which the report is tried again and again.
func (w *world) ehrIsTried(t *testing.T, o order, task string, _ chapter) error {
	eventually(t, "the report is to be tried", func() error {
		tries, err := w.triesAtOnce(t.Context(), o, task)
		if err == nil && tries < 5 {
			err = fmt.Errorf("it was tried %d times", tries)
		}
		return err
	})
	return nil
}

// triesAtOnce makes the report due now, and says how often it was tried.
func (w *world) triesAtOnce(ctx context.Context, o order, task string) (tries int, err error) {
	err = w.db.Tenant(ctx, w.tenants[o.hospital], func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			UPDATE delivery d SET next_attempt_at = now()
			FROM case_file c
			WHERE c.tenant_id = d.tenant_id AND c.case_id = d.case_id AND c.task_id = $1 AND d.state = 'queued' AND d.lease_until IS NULL`, task)
		if err != nil {
			return err
		}
		return tx.QueryRow(ctx, `
			SELECT count(*) FROM delivery_attempt a JOIN case_file c ON c.tenant_id = a.tenant_id AND c.case_id = a.case_id
			WHERE c.task_id = $1 AND a.outcome = 'retry'`, task).Scan(&tries)
	})
	return tries, err
}

func (w *world) ehrComesBack(t *testing.T, o order, task string, _ chapter) error {
	w.ehr.Heal()
	_, err := w.triesAtOnce(t.Context(), o, task)
	return err
}

// chartSays waits until the alert in the EHR has this status. The calls are Communications
// of their own, partOf it.
func (w *world) chartSays(t *testing.T, o order, status string) error {
	eventually(t, "the finding is to be "+status+" in the EHR", func() error {
		found, err := w.chart.get(t.Context(), "Communication?subject=Patient/"+o.patient.id())
		if err != nil {
			return err
		}
		alerts := slices.DeleteFunc(found.Each("entry", "resource"), func(n *fhir.Node) bool {
			return len(n.Each("partOf")) > 0 || len(n.Each("inResponseTo")) > 0
		})
		if len(alerts) != 1 || alerts[0].Text("status") != status {
			return fmt.Errorf("there are %d, the status is %q", len(alerts), found.Text("entry", "resource", "status"))
		}
		return nil
	})
	return nil
}

// noReport is an error if the EHR has a report of ours of the order.
func (w *world) noReport(t *testing.T, o order) error {
	found, err := w.chart.get(t.Context(), "DiagnosticReport?based-on=ServiceRequest/order-"+o.number)
	if err == nil && len(found.Each("entry")) > 0 {
		err = errors.New("it has one")
	}
	return err
}

// chartHas waits until the EHR has the report's versions, each once and no more.
func (w *world) chartHas(t *testing.T, o order, versions []string) {
	t.Helper()
	if len(versions) == 0 {
		if err := w.noReport(t, o); err != nil {
			t.Errorf("the EHR has a report of a case that nobody has signed: %v", err)
		}
		return
	}
	w.reportInChart(t, o, versions)
}
