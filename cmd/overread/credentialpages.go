package main

import (
	"context"

	"github.com/overread/overread/fhir"
	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/screen"
	"github.com/overread/overread/web"
	"github.com/overread/overread/workflow"
)

// credentialDesk is what the room of readers' credentials asks the surface for.
func credentialDesk(surface func() *fhir.Server, asked func(web.Caller) fhir.Asked) web.CredentialDesk {
	return web.CredentialDesk{
		All: func(ctx context.Context, actor access.Actor, ahead int, from web.Caller) ([]screen.ReaderCredentials, error) {
			return surface().Credentials(ctx, actor, ahead, asked(from))
		},
		One: func(ctx context.Context, actor access.Actor, practitioner string, ahead int, from web.Caller) (screen.ReaderCredentials, error) {
			return surface().Credential(ctx, actor, practitioner, ahead, asked(from))
		},
		SetLicences: func(ctx context.Context, actor access.Actor, practitioner string, version int64, licences []workflow.Licence, from web.Caller) error {
			return surface().SetLicences(ctx, actor, practitioner, version, licences, asked(from))
		},
		SetRole: func(ctx context.Context, actor access.Actor, practitioner string, role screen.ReaderRole, from web.Caller) error {
			return surface().SetRole(ctx, actor, practitioner, role, asked(from))
		},
	}
}
