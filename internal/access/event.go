package access

import (
	"context"
	"crypto/sha256"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// EventKind is something that is recorded besides the accesses themselves: who
// came in and went, and who changed what others may do. How each is told as an
// AuditEvent stands in fhir/auditdoor.go.
type EventKind string

// The kinds of events. Those from TenantAdded on are what an operator does at the
// command line, and some of them an administrator at a page.
const (
	Login             EventKind = "login"
	LoginRefused      EventKind = "login-refused"
	Logout            EventKind = "logout"
	IdleLogoff        EventKind = "idle-logoff"
	Launch            EventKind = "launch" // from an EHR (SMART App Launch)
	TokenIssued       EventKind = "token-issued"
	TokenRefused      EventKind = "token-refused"
	TokenRevoked      EventKind = "token-revoked"
	TokenIntrospected EventKind = "token-introspected"
	BreakGlass        EventKind = "break-glass"
	Unblinding        EventKind = "unblinding"     // somebody is shown what blinding hid from them
	QualityOpened     EventKind = "quality-opened" // somebody is shown how readings were graded
	MeasureOpened     EventKind = "measure-opened" // somebody is shown whose cases a measure counts, whom of the readers, or a count of 1 to 10
	ImagesOpened      EventKind = "images-opened"  // somebody is shown images of a study, the first time in their session

	ReportDelivered EventKind = "report-delivered" // a report has left the house; with Why, the destination has refused it for good

	TenantAdded     EventKind = "tenant-added"
	TenantChanged   EventKind = "tenant-changed"
	TenantSuspended EventKind = "tenant-suspended"
	TenantResumed   EventKind = "tenant-resumed"
	TenantExported  EventKind = "tenant-exported"
	TenantImported  EventKind = "tenant-imported"
	ClientAdded     EventKind = "client-added"
	ClientChanged   EventKind = "client-changed"
	ClientRevoked   EventKind = "client-revoked"
	KeyAdded        EventKind = "token-added"    // a bearer token without end
	KeysRevoked     EventKind = "tokens-revoked" // all of an actor
	ReaderSet       EventKind = "reader-credentialed"
	DestinationSet  EventKind = "destination-set"
	IssuerListed    EventKind = "issuer-listed"  // an EHR may launch
	IssuerRemoved   EventKind = "issuer-removed" // and may no longer
	ProviderSet     EventKind = "provider-set"   // an identity provider, and what its claims mean
	ProviderRemoved EventKind = "provider-removed"
	PersonSet       EventKind = "person-set" // who is which reader
	PersonEnded     EventKind = "person-ended"
	RoleGranted     EventKind = "role-granted" // to a person at a tenant, by name
	RoleRevoked     EventKind = "role-revoked"
	GroupSet        EventKind = "group-set" // what a value of a provider's claim means at a tenant
	GroupRemoved    EventKind = "group-removed"
	SessionsEnded   EventKind = "sessions-ended" // of somebody, by who administers

	DestinationPaused  EventKind = "destination-paused"
	DestinationResumed EventKind = "destination-resumed"
	DestinationTried   EventKind = "destination-tried" // whether it can be reached

	DestinationProposed  EventKind = "destination-proposed"  // by one administrator; another one agrees (destination-set)
	DestinationWithdrawn EventKind = "destination-withdrawn" // what was proposed
	OperatorNamed        EventKind = "operator-named"        // who does by pages what concerns the whole installation
	OperatorDismissed    EventKind = "operator-dismissed"

	PACSSet         EventKind = "pacs-set"
	PACSRemoved     EventKind = "pacs-removed"
	PolicySet       EventKind = "policy-set"
	TemplateSet     EventKind = "template-set"           // how reports on an exam are laid out
	LogRestored     EventKind = "audit-log-restored"     // the database was restored, and its audit log lacks what was signed
	CheckpointsLost EventKind = "audit-checkpoints-lost" // the file outside the database that proved the log is gone
	LogCompared     EventKind = "audit-log-compared"     // somebody had the log compared with what was signed; with Why, it is not the same
)

// Event is one such event. Nothing in it is a secret or was sent by whoever was
// refused: Why is one of the program's own words.
type Event struct {
	Kind      EventKind
	Tenant    uuid.UUID // in whose log it is; uuid.Nil: it is nobody's, such as a login that failed
	Actor     Actor     // who did it; without a role: somebody who was not let in
	Token     string    // the TokenURN or SessionURN that it is about; "": that of the actor, if any
	Object    string    // what was changed or made, by our own id or short name: a client, a reader, a destination
	Scopes    string    // of a token or client, after its role
	Patient   string    // "Patient/1"
	Case      string    // "Task/1"
	Report    string    // "DiagnosticReport/1" that left the house
	ReportNo  int       // which signed version of it
	Why       string    // why it was refused; "" where it was done
	Reason    string    // what whoever did it gave as their reason; never a patient's name
	Client    string    // IP address that it came from
	RequestID string
}

// Recorder writes the AuditEvent of an event. With a transaction, of whichever
// role, it is written in that one, which then goes on as it was; without, it is
// in the database when Recorder returns. Only introspections, and refusals without a
// transaction, are written within a second, and refusals are bounded in number.
type Recorder func(ctx context.Context, tx pgx.Tx, e Event) error

// Operator is who runs overread at the command line. No token carries it.
const Operator Role = "operator"

// OperatorActor is the operator acting for a tenant; who is their login at the machine.
func OperatorActor(tenant uuid.UUID, who string) Actor {
	return Actor{Tenant: tenant, Role: Operator, Display: who}
}

// tokenSpace makes the ids of tokens something else than parts of their hashes.
var tokenSpace = uuid.MustParse("3f1dfd2e-5f0c-5a53-9d49-0c8f6b0f2a57")

// TokenURN names a token in the audit as a JWT's jti would, IHE BALP
// OAUTHaccessTokenUse.Minimal. Who knows the token knows its name; whoever knows
// the name knows nothing of the token.
func TokenURN(token string) string {
	sum := sha256.Sum256([]byte(token))
	return tokenURN(sum[:])
}

// OAuthPrefix is what the names of tokens begin with.
const OAuthPrefix = "urn:ietf:params:oauth:jti:"

func tokenURN(sum []byte) string {
	return OAuthPrefix + uuid.NewHash(sha256.New(), tokenSpace, sum, 8).String()
}

// IsPerson tells a person who is signed in from a system, which comes with a token.
func (a Actor) IsPerson() bool { return strings.HasPrefix(a.Token, sessionURN) }

const sessionURN = "urn:uuid:"

// SessionURN names a session of a person.
func SessionURN(id uuid.UUID) string { return sessionURN + id.String() }
