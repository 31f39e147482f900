package fhir

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
)

// studyChanged tells the signed cases of a study what it is now: what was reported
// may be less than there is, or something else. before is nil for one that is new
// here, which may be the study of a report all the same.
func (s *Server) studyChanged(ctx context.Context, tx pgx.Tx, actor access.Actor, before, after *Node) error {
	if after.Type() != "ImagingStudy" {
		return nil
	}
	images, said := instances(after)
	if said > 0 {
		images = said
	}
	return s.engine.StudyChangedTx(ctx, tx, actor.Tenant, after.Text("id"), studyUID(after), images, replaced(before, after))
}

// replaced tells whether images that were there are there no more.
func replaced(before, after *Node) bool {
	now := imageUIDs(after)
	return slices.ContainsFunc(imageUIDs(before), func(uid string) bool { return !slices.Contains(now, uid) })
}

// imageUIDs are the UIDs of the series of a study and, where it lists them, of
// their instances.
func imageUIDs(study *Node) (uids []string) {
	for _, path := range [][]string{{"series", "uid"}, {"series", "instance", "uid"}} {
		for _, uid := range study.Each(path...) {
			uids = append(uids, bareUID(uid.Text()))
		}
	}
	return uids
}
