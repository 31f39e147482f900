package fhir

import (
	"context"
	"crypto/sha256"
	"flag"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/overread/overread/internal/access"
)

// What a client waits for, HTTP and PostgreSQL included:
//
//	go test ./fhir -run xxx -bench REST -cpu 2
func BenchmarkRESTReadByID(b *testing.B) {
	r := startREST(b)
	path := "/fhir/Patient/" + r.mustCreate("Patient", patientJSON("1"))
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			r.expect(http.StatusOK, r.get(path))
		}
	})
}

func BenchmarkRESTCreateServiceRequest(b *testing.B) {
	r := startREST(b)
	body := orderJSON("Patient/" + r.mustCreate("Patient", patientJSON("1")))
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			r.expect(http.StatusCreated, r.post("/fhir/ServiceRequest", body))
		}
	})
}

// What finding out who calls, and recording what they did, costs: of a read and a
// create, with neither (every request is a placer's), with authorization (the
// token of a client is looked up, its scopes are read and asked), and with both.
// The three take turns, so that whatever else the machine does hits them alike;
// the writing of the records counts.
//
//	go test ./fhir -run xxx -bench RESTCost -benchtime 1x
func BenchmarkRESTCost(b *testing.B) {
	const rounds, requests = 41, 40
	for _, what := range []string{"read", "create"} {
		for _, clients := range []int{1, 2, 8} {
			b.Run(fmt.Sprintf("%s/clients=%d", what, clients), func(b *testing.B) {
				ways := []string{"neither", "authorization", "both"}
				took := map[string][]time.Duration{}
				var turn []func()
				for _, way := range ways {
					r := startREST(b, func(s *Server) {
						switch way {
						case "neither":
							s.whoCalls = nil
							fallthrough
						case "authorization":
							s.trail = nil
						}
					})
					r.asClient(access.Placer, "system/*.cruds")
					if way == "neither" {
						placer := access.Actor{Tenant: r.tenant, ID: uuid.New(), Role: access.Placer, Display: "EHR"}
						r.server.whoCalls = func(*http.Request) (access.Actor, error) { return placer, nil }
					}
					patient := "Patient/" + r.mustCreate("Patient", patientJSON("1"))
					order := orderJSON(patient)
					request := func() {
						if what == "create" {
							r.expect(http.StatusCreated, r.post("/fhir/ServiceRequest", order))
							return
						}
						r.expect(http.StatusOK, r.get("/fhir/"+patient))
					}
					turn = append(turn, func() {
						began := time.Now()
						var all sync.WaitGroup
						for range clients {
							all.Go(func() {
								for range requests {
									request()
								}
							})
						}
						all.Wait()
						if way == "both" {
							_ = r.server.Flush(b.Context())
						}
						took[way] = append(took[way], time.Since(began))
					})
				}
				for b.Loop() {
					for range rounds {
						for _, do := range turn {
							do()
						}
					}
				}
				median := func(way string) float64 {
					slices.Sort(took[way])
					return float64(took[way][len(took[way])/2].Microseconds()) / requests / float64(clients)
				}
				for _, way := range ways {
					b.ReportMetric(median(way), "us-"+way)
					b.ReportMetric(median(way)/median("neither"), "x-"+way)
				}
			})
		}
	}
}

// asClient has the requests of a role come with a token of the token endpoint.
func (r *rest) asClient(role access.Role, scopes string) {
	r.t.Helper()
	token, client := access.NewToken(), uuid.New()
	sum := sha256.Sum256([]byte(token))
	owner := r.db.Owner(r.t)
	_, err := owner.Exec(context.Background(), `
		INSERT INTO client (tenant_id, client_id, name, role, scopes, jwks) VALUES ($1, $2, 'EHR', $3, $4, '{}')`, r.tenant, client, role, scopes)
	if err == nil {
		_, err = owner.Exec(context.Background(), `
			INSERT INTO access_token (tenant_id, token_sha256, client_id, scopes, expires_at) VALUES ($1, $2, $3, $4, now() + interval '1 hour')`,
			r.tenant, sum[:], client, scopes)
	}
	if err != nil {
		r.t.Fatal(err)
	}
	r.tokens[role] = token
}

// Six entries: patient, practitioner and organization are known already, as
// they are for most orders; study, report and order are new.
func BenchmarkRESTTransaction(b *testing.B) {
	r := startREST(b)
	var number atomic.Int64
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			body := strings.Replace(orderTransaction(fmt.Sprint(number.Add(1))),
				`"method":"PUT","url":"Organization/radiology"`, `"method":"POST","url":"Organization","ifNoneExist":"name:exact=Radiology"`, 1)
			r.expect(http.StatusOK, r.post("/fhir", body))
		}
	})
}

func BenchmarkRESTSearchByIdentifier(b *testing.B) {
	r := startREST(b)
	for i := range 1000 {
		r.mustCreate("Patient", patientJSON(fmt.Sprint(i)))
	}
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			r.expect(http.StatusOK, r.get("/fhir/Patient?identifier=urn:mrn%7C500"))
		}
	})
}

// The shapes of a search, and their second pages:
//
//	go test ./fhir -run xxx -bench RESTSearchShapes -cpu 2 -library 100000
//
// -library is how many patients there are, with two orders and an observation
// for each.
func BenchmarkRESTSearchShapes(b *testing.B) {
	r := startLibrary(b, *librarySize)
	for _, s := range librarySearches {
		address := "/fhir/" + strings.ReplaceAll(s.address, "|", "%7C")
		addresses := map[string]string{"": address}
		if next := r.get(address).link("next"); next != "" {
			addresses[", page 2"] = strings.TrimPrefix(next, r.url)
		}
		for page, address := range addresses {
			b.Run(s.name+page, func(b *testing.B) {
				r := *r
				r.t = b
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						r.expect(http.StatusOK, r.get(address))
					}
				})
			})
		}
	}
}

var librarySize = flag.Int("library", 10_000, "patients in the benchmarks of searches")

func (r *rest) expect(status int, got response) {
	if got.status != status {
		r.t.Errorf("%d %s", got.status, got.body)
	}
}
