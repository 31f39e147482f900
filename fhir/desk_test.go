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
	reader := c.readers[access.Reader]
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
}
