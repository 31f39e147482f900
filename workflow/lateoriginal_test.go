package workflow

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
)

// unreported is a case whose hospital has no report of the study, as far as anybody
// knows, that anybody may read.
func (h *house) unreported() Case {
	h.Helper()
	c := h.open(func(f *Facts) { f.Original, f.Reported, f.First = nil, false, FirstReaders{} })
	h.tick()
	h.fire(h.coordinator, c, "proceed", Input{Reason: "the hospital has no report"})
	h.tick()
	return h.stands(c, Ready)
}

// reported: the hospital's report comes.
func (h *house) reported(c Case) {
	f, whole := h.facts[c.PlacerValue], wholeFacts()
	f.Original, f.Reported, f.First = whole.Original, true, whole.First
	h.recheck(c)
}

// grows: the study has so many images now.
func (h *house) grows(c Case, images int) {
	h.Helper()
	f := h.facts[c.PlacerValue]
	f.Study.Instances, f.Study.InstancesSaid = images, images
	h.in(func(ctx context.Context, tx pgx.Tx) error {
		return h.engine.StudyChangedTx(ctx, tx, h.tenant, "", f.Study.UID, images, false)
	})
}

func TestImagesThatCameAfterTheLockAreVerifiedAlsoWhereTheOriginalComesAfterThem(t *testing.T) {
	t.Parallel()
	for name, come := range map[string]func(h *house, c Case){
		"the images, then the report": func(h *house, c Case) { h.grows(c, 500); h.reported(c) },
		"the report, then the images": func(h *house, c Case) { h.reported(c); h.grows(c, 500) },
		"both at once": func(h *house, c Case) { // and no message tells of the study
			f := h.facts[c.PlacerValue]
			f.Study.Instances, f.Study.InstancesSaid = 500, 500
			h.reported(c)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, `{"assignment": "pool"}`)
			c := h.unreported()
			h.fire(h.anna, c, "claim", Input{Independent: true})
			h.fire(h.anna, c, "lock", Input{Opinion: &opinion})
			read := h.find(c).Exam.imagesRead()
			come(h, c)
			h.fire(h.anna, c, "reveal", Input{})
			h.fire(h.anna, c, "grade", Input{Grade: &agreement})
			h.fire(h.anna, c, "sign", Input{})
			all := h.matters(c)
			if len(all) != 1 || all[0].Kind != VerificationMatter || all[0].Content.Images != 500 || all[0].Content.ImagesThen != read {
				t.Errorf("after %d images were read: %+v", read, all)
			}
		})
	}
}
