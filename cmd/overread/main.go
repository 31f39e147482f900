// Command overread is the whole product in one binary: the server, its
// migrations, its demo and the few things that an operator does by hand.
//
// main.go has the verbs; serve.go wires the parts together and reads top to
// bottom; jobs.go is the one table of what runs by the clock.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"
	_ "time/tzdata" // the zones of calendars, also where the machine has none

	"github.com/alecthomas/kong"
)

// verbs is the command line. Every setting is a flag and an environment
// variable of the same name: --database-url is OVERREAD_DATABASE_URL.
type verbs struct {
	Serve       serveCmd            `cmd:"" help:"Run the server. Needs nothing but a database URL."`
	Demo        demoCmd             `cmd:"" help:"Try everything on this machine: a private PostgreSQL, sample cases, the server and a stand-in EHR."`
	Migrate     migrateCmd          `cmd:"" help:"Bring the database's schema up to this binary's."`
	Doctor      doctorCmd           `cmd:"" help:"Check the database and what leans on it, and say how to mend what is wrong."`
	Version     versionCmd          `cmd:"" help:"Print the version of this binary and of the schema that it wants."`
	Tenant      tenantCmd           `cmd:"" help:"The organisations that order second opinions."`
	Template    templateCmd         `cmd:"" help:"How a tenant's reports are laid out."`
	Policy      policyCmd           `cmd:"" help:"How a tenant wants its cases to run."`
	Measure     measureCmd          `cmd:"" help:"What statistics count."`
	Simulate    simulateCmd         `cmd:"" help:"Live through weeks of a national service in a minute, to try a policy or to compare ways of assignment. Needs no database."`
	Token       tokenCmd            `cmd:"" help:"Bearer tokens of EHRs, readers and desks."`
	Client      clientCmd           `cmd:"" help:"Systems that get their tokens by a key of their own (SMART Backend Services)."`
	Issuer      issuerCmd           `cmd:"" help:"EHRs from which clinicians may open Overread (SMART App Launch)."`
	Destination destinationCmd      `cmd:"" help:"Where a tenant's reports are delivered."`
	PACS        pacsCmd             `cmd:"" name:"pacs" help:"Where a tenant's images are looked up (DICOMweb)."`
	Viewer      viewerCmd           `cmd:"" help:"Install the OHIF viewer, which pages then lead to."`
	Reader      readerCmd           `cmd:"" help:"The radiologists whom a tenant has credentialed."`
	Provider    providerCmd         `cmd:"" help:"Identity providers by which people sign in (OpenID Connect)."`
	Person      personCmd           `cmd:"" help:"People who sign in: who they are among the readers."`
	Role        roleCmd             `cmd:"" help:"Who may do what at a tenant, by name."`
	Operator    operatorCmd         `cmd:"" help:"Who may do by pages what concerns the whole installation."`
	BreakGlass  emergencyCmd        `cmd:"" name:"break-glass" help:"Records that were opened in an emergency."`
	Audit       auditCmd            `cmd:"" help:"Proof of everything that was done: keys, exports, verification, erasure."`
	Statistics  verifyStatisticsCmd `cmd:"" name:"verify-statistics" help:"Show our statistics beside what six published studies print, with the misprints named; fail where one is not the same. Needs no database."`
	KeepPACS    keepPACSCmd         `cmd:"" name:"keep-pacs" hidden:"" help:"Run the demo's PACS in a network of its own."`
	StandInEHR  standInCmd          `cmd:"" name:"stand-in-ehr" help:"Run a small FHIR server that plays the EHR, for demo and tests."`
}

// terminal is where a verb writes: what was asked for to stdout, the log and
// the complaints to stderr.
type terminal struct {
	stdout, stderr io.Writer
}

func (t terminal) printf(format string, args ...any) { _, _ = fmt.Fprintf(t.stdout, format, args...) }

func main() {
	// The first signal asks for a graceful end; the second one is not caught.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	err := noSecrets(os.Args[1:])
	if err == nil {
		err = run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	}
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "overread:", err)
		os.Exit(exitCode(err))
	}
}

// exitCode is 1, but for what a script wants to tell from it.
func exitCode(err error) int {
	if _, incomplete := errors.AsType[*unshownError](err); incomplete {
		return exitIncomplete
	}
	return 1
}

// run is the program: it does what args ask for and returns when that is done,
// or soon after ctx ends. Tests call it as main does.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var v verbs
	onlyHelp := false
	parser, err := kong.New(&v,
		kong.Name("overread"),
		kong.Description("Overread runs radiology second opinions over FHIR R4: an order comes in from the EHR, a reader gives an independent second opinion, a report goes back."),
		kong.Writers(stdout, stderr),
		kong.Exit(func(int) { onlyHelp = true }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Bind(terminal{stdout: stdout, stderr: stderr}),
		kong.BindTo(ctx, (*context.Context)(nil)),
	)
	if err != nil {
		return fmt.Errorf("command line: %w", err)
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	parsed, err := parser.Parse(args)
	if onlyHelp {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%w (try: overread --help)", err)
	}
	err = parsed.Run()
	switch {
	case err == nil:
		return nil
	case !errors.Is(err, context.Canceled):
		return plainly(err)
	case slices.Contains(untilStopped, parsed.Selected().Name):
		return nil
	}
	return errInterrupted
}

// untilStopped are the verbs that are done when somebody stops them.
var untilStopped = []string{"serve", "demo", "keep-pacs", "stand-in-ehr"}

var errInterrupted = errors.New("interrupted before it was done")
