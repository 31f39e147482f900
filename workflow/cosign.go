package workflow

import "context"

// A trainee or a locum reads, and a supervisor signs: as it is, with changes of
// the supervisor's own, or not, and then the reader may revise it. Both texts are
// kept, and the history says which sections differ.

var editComplete = Guard{"editComplete", "the text, with the sections that are changed now, has findings and an impression",
	func(ctx context.Context, t *turn) error {
		if t.in.Opinion == nil {
			return nil
		}
		before, err := t.lockedOpinion(ctx)
		if err != nil {
			return err
		}
		return complete(t.in.Opinion.over(before.Content))
	}}

var wasReturned = Guard{"wasReturned", "a supervisor has returned the report",
	func(_ context.Context, t *turn) error {
		if t.c.ReturnedAt == nil {
			return refuse("the opinion was sealed when it was locked; it is revised only after a supervisor has returned it")
		}
		return nil
	}}

var noteReturn = Effect{"noteReturn", "the reader may revise the text; the sealed opinion stays on record",
	func(_ context.Context, t *turn) error {
		t.c.ReturnedAt = &t.now
		return nil
	}}

var sealEdit = Effect{"sealEdit", "what is changed is sealed as an opinion of its own and in force; the sections that differ are noted, and the text before is kept",
	func(ctx context.Context, t *turn) error {
		if t.in.Opinion == nil {
			return nil
		}
		before, err := t.lockedOpinion(ctx)
		if err != nil {
			return err
		}
		part := PartRevision
		if t.c.State == AwaitingCosign {
			part = PartCosign
		}
		after := t.in.Opinion.over(before.Content)
		t.changed = ChangedSections(before.Content, after)
		t.detail["changed"] = t.changed
		if len(t.changed) == 0 {
			return nil
		}
		opinion, err := t.sealInForce(ctx, part, after)
		if err != nil || part == PartCosign { // which is signed in this moment
			return err
		}
		return t.raiseFromOpinion(ctx, opinion, ofAnybody)
	}}
