package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/integrations/smart"
	"github.com/overread/overread/internal/administration"
	"github.com/overread/overread/internal/outbound"
	"github.com/overread/overread/internal/pg"
	"github.com/overread/overread/web"
)

// launches wires what a clinician needs who opens Overread inside an EHR: the way
// in (integrations/smart) and the pages (web), which get what they show from the
// FHIR surface.
func launches(o *overread, guard *outbound.Guard, root string) (*smart.Client, *web.Launched) {
	sessions := o.people.sessions
	client := smart.New(smart.Config{
		DB: o.db, Sessions: sessions, Guard: guard, Root: root, Record: o.surface.RecordEvent, Now: time.Now, Log: o.log,
		Patient: o.surface.PatientHere, Order: o.surface.OrderHere,
	})
	pages := &web.Launched{
		Sessions: sessions,
		Begin: func(r *http.Request, tenant, browser string) (to, cookie string, framers []string, err error) {
			return client.Begin(r.Context(), tenant, browser, r.URL.Query())
		},
		Finish: func(r *http.Request, browser string) (web.LaunchOpened, []string, error) {
			opened, framers, err := client.Finish(r.Context(), browser, r.UserAgent(), r.URL.Query())
			return web.LaunchOpened(opened), framers, err
		},
		Context: func(ctx context.Context, id uuid.UUID) (web.LaunchContext, error) {
			found, err := client.Context(ctx, id)
			shows := web.LaunchContext{OrderUnknown: found.OrderUnknown, Banner: found.Banner, FrameOrigins: found.FrameOrigins}
			if found.TaskID != nil {
				shows.Task = *found.TaskID
			}
			return shows, err
		},
		Keys:        client.PublicKeys,
		Chart:       o.surface.Chart,
		Opinion:     o.surface.OpinionOn,
		Form:        o.surface.Form,
		Summary:     o.surface.PatientSummary,
		Acknowledge: o.surface.Acknowledge,
		Carry:       o.surface.Carry,
		Images:      o.images.desk(),
		Log:         o.log,
	}
	if u, err := url.Parse(root); err == nil {
		pages.Prefix = strings.TrimSuffix(u.Path, "/")
	}
	return client, pages
}

// launchFromDemo lists the stand-in EHR, where it is now, for every tenant, and
// registers Overread there, once for each: both hospitals have the same EHR.
func launchFromDemo(ctx context.Context, db *pg.DB, base, ehr string) error {
	root := strings.TrimSuffix(base, "/fhir")
	err := db.System(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM ehr_issuer WHERE issuer <> $1`, ehr) // of earlier runs
		return err
	})
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(hospitals)) {
		id := "overread-" + name
		err := addIssuer(ctx, db, administration.Launch{Tenant: name, Issuer: ehr, ClientID: id, Authentication: smart.Public, FrameOrigins: []string{strings.TrimSuffix(ehr, "/fhir")}})
		if err != nil {
			return err
		}
		app := map[string]string{"clientId": id, "name": "Open second opinions (" + name + ")", "launchUrl": root + "/launch/at/" + name, "redirectUri": root + "/launch/callback"}
		if err := postJSON(ctx, strings.TrimSuffix(ehr, "/fhir")+"/control/app", app); err != nil {
			return fmt.Errorf("register at the stand-in EHR: %w", err)
		}
	}
	return nil
}

func postJSON(ctx context.Context, address string, body any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(text))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	answer, err := clientHTTP.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", answer.StatusCode)
	}
	return nil
}
