package main

import (
	"context"
	"net/url"

	"github.com/google/uuid"

	"github.com/overread/overread/fhir"
	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/screen"
	"github.com/overread/overread/web"
	"github.com/overread/overread/workflow"
)

// qualityDesk is what the peer-learning room and a reader's own feedback ask the
// surface for.
func qualityDesk(surface func() *fhir.Server, asked func(web.Caller) fhir.Asked) web.QualityDesk {
	return web.QualityDesk{
		List: func(ctx context.Context, actor access.Actor, q screen.QualityAsked, from web.Caller) (screen.QualityList, error) {
			return surface().QualityList(ctx, actor, q, asked(from))
		},
		Case: func(ctx context.Context, actor access.Actor, task string, from web.Caller) (screen.QualityCase, error) {
			return surface().QualityCase(ctx, actor, task, asked(from))
		},
		MakePack: func(ctx context.Context, actor access.Actor, fields url.Values, from web.Caller) (uuid.UUID, error) {
			return surface().MakePack(ctx, actor, fields, asked(from))
		},
		Pack: func(ctx context.Context, actor access.Actor, id uuid.UUID, from web.Caller) (workflow.Pack, error) {
			return surface().Pack(ctx, actor, id, asked(from))
		},
		PackFile: func(ctx context.Context, actor access.Actor, id uuid.UUID, form, language string, from web.Caller) (screen.File, error) {
			return surface().PackFile(ctx, actor, id, form, language, asked(from))
		},
		Feedback: func(ctx context.Context, actor access.Actor, after string, from web.Caller) (screen.OwnFeedback, error) {
			return surface().OwnFeedback(ctx, actor, after, asked(from))
		},
		Respond: func(ctx context.Context, actor access.Actor, id uuid.UUID, agrees bool, text string, from web.Caller) error {
			return surface().AnswerFeedback(ctx, actor, id, agrees, text, asked(from))
		},
	}
}
