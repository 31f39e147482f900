package fhir

import (
	"testing"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/workflow"
)

// What nobody has claimed waits for those who may.
func TestAReaderSeesInThePoolWhatTheyMayClaim(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	task := c.order(chestXray(t, "pool")...)
	c.tick()
	reader, third := c.readers[access.Reader], c.readers[access.Adjudicator]
	listed := func(actor access.Actor) []workflow.WorkItem {
		t.Helper()
		items, err := c.server.Worklist(t.Context(), actor, 25, Asked{})
		if err != nil {
			t.Fatal(err)
		}
		return items
	}
	if got := listed(reader); len(got) != 1 || got[0].TaskID != task || !got[0].Pool || got[0].State != workflow.Ready {
		t.Fatalf("in the pool: %+v", got)
	}
	c.behind(`UPDATE reader SET credential = credential || '{"modalities":["MR"]}' WHERE reader_id = $1`, reader.ID)
	if got := listed(reader); len(got) != 0 {
		t.Errorf("to who may not claim it: %+v", got)
	}
	c.behind(`UPDATE reader SET credential = credential - 'modalities' WHERE reader_id = $1`, reader.ID)
	c.mustAct(access.Reader, task, "$claim", "independent", true)
	if got := listed(reader); len(got) != 1 || got[0].Pool || got[0].State == workflow.Ready {
		t.Errorf("claimed: %+v", got)
	}

	// What waits for a third reader is shown to who may be one.
	c.mustAct(access.Reader, task, "$lock", "findings", "A nodule.", "impression", "Nodule.")
	c.mustAct(access.Reader, task, "$reveal")
	c.mustAct(access.Reader, task, "$grade", "discrepancy", missed("important"), "difference", "A nodule needs work-up.")
	c.wantState(task, "adjudication")
	if got := listed(third); len(got) != 1 || !got[0].Pool {
		t.Errorf("to the third reader: %+v", got)
	}
	c.behind(`UPDATE reader SET credential = credential || '{"mayAdjudicate":false}' WHERE reader_id = $1`, third.ID)
	if got := listed(third); len(got) != 0 {
		t.Errorf("to who may not adjudicate: %+v", got)
	}
	c.behind(`UPDATE reader SET credential = credential || '{"mayAdjudicate":true}' WHERE reader_id = $1`, third.ID)
	c.mustAct(access.Adjudicator, task, "$claim", "independent", true)
	c.mustAct(access.Adjudicator, task, "$adjudicate", "discrepancy", missed("important"), "difference", "The third reader agrees.")
	if got := listed(third); len(got) != 1 || got[0].Pool {
		t.Errorf("their own: %+v", got)
	}
}
