package main

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/overread/overread/workflow"
)

// TestTheDemoTellsAStoryThatWorks starts the demo as a person would, runs the
// lines that it prints, stops it with an interrupt and starts it again.
func TestTheDemoTellsAStoryThatWorks(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("NO CURL: the printed lines cannot be tried")
	}
	data := worldReadableDir(t)
	d := startDemo(t, data)
	for _, secret := range []string{"tokens/mercy-placer", "ehr.journal", "story/story.sh"} {
		if info, err := os.Stat(filepath.Join(data, secret)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", secret, info, err)
		}
	}
	d.tellStory(t)
	d.proveAudit(t)
	d.checkStates(t)
	d.checkShowcases(t)
	d.checkPeople(t)
	d.checkPACS(t)
	d.checkFigures(t, data)
	d.stop(t)

	d = startDemo(t, data)
	if strings.Contains(d.out.String(), "The first time") {
		t.Error("the second start made the sample cases again")
	}
	d.tellStory(t)
	d.checkPACS(t)
	d.stop(t)
}

// checkPeople looks whether the EHR has each of our readers once.
func (d *demo) checkPeople(t *testing.T) {
	t.Helper()
	ehr := client{base: regexp.MustCompile(`EHR=(\S+)`).FindStringSubmatch(d.script)[1]}
	all, err := ehr.get(t.Context(), "Practitioner")
	if err != nil {
		t.Fatal(err)
	}
	numbers := map[string]int{}
	for _, id := range all.Each("entry", "resource", "identifier") {
		if id.Text("system") == npi {
			numbers[id.Text("value")]++
		}
	}
	if numbers["1000000061"] == 0 {
		t.Errorf("the EHR does not know Dr. Petrov: %v", numbers)
	}
	for number, n := range numbers {
		if n > 1 {
			t.Errorf("the EHR has %d Practitioners of the NPI %s", n, number)
		}
	}
}

// checkPACS looks whether the story's case has gone through the PACS, which is
// another process at another port each time. Where the kernel gives no namespace
// the demo has none, and must say so.
func (d *demo) checkPACS(t *testing.T) {
	t.Helper()
	if strings.Contains(d.out.String(), "no network namespace can be had here") {
		t.Log("NO NAMESPACE: the demo runs without a PACS")
		return
	}
	data := regexp.MustCompile(`STORY='(.*)/story'`).FindStringSubmatch(d.script)[1]
	order := regexp.MustCompile(`STORY-[0-9.-]+`).FindString(d.script)
	token, err := os.ReadFile(filepath.Join(data, "tokens", "mercy-coordinator"))
	if err != nil {
		t.Fatal(err)
	}
	c := client{base: regexp.MustCompile(`BASE=(\S+)`).FindStringSubmatch(d.script)[1], token: strings.TrimSpace(string(token))}
	task, err := taskOf(t.Context(), c, order)
	if err != nil {
		t.Fatal(err)
	}
	n, err := c.get(t.Context(), "Task/"+task)
	if err != nil {
		t.Fatal(err)
	}
	log, err := os.ReadFile(filepath.Join(data, "overread.log"))
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range n.Each("identifier") {
		if regexp.MustCompile(`PACS asked.*case=` + id.Text("value") + ` .*answer=found`).Match(log) {
			return
		}
	}
	t.Errorf("the story's case was not found in the PACS\n%s", d.out)
}

// checkFigures asks as an auditor for what was published of the hospital's past, and as who
// looks after quality for its months.
func (d *demo) checkFigures(t *testing.T, data string) {
	t.Helper()
	told := func(desk, from, to, by string) (told int) {
		token, err := os.ReadFile(filepath.Join(data, "tokens", "mercy-"+desk))
		if err != nil {
			t.Fatal(err)
		}
		c := client{base: regexp.MustCompile(`BASE=(\S+)`).FindStringSubmatch(d.script)[1], token: strings.TrimSpace(string(token))}
		report, err := c.get(t.Context(), "Measure/discrepancy-any/$evaluate-measure?periodStart="+from+"&periodEnd="+to+"&stratifier="+by)
		if err != nil {
			t.Fatalf("%s, %s to %s: %v", desk, from, to, err)
		}
		for _, stratum := range report.Each("group", "stratifier", "stratum") {
			if stratum.Get("measureScore") != nil {
				told++
			}
		}
		return told
	}
	now := time.Now().UTC()
	quarter := time.Date(now.Year(), (now.Month()-1)/3*3+1, 1, 0, 0, 0, 0, time.UTC)
	for range 3 { // of the one before last, and of those before it, all is published on any day
		quarter = quarter.AddDate(0, -3, 0)
		if now.Before(quarter.AddDate(0, 3, 32)) {
			continue
		}
		from, to := quarter.Format(time.DateOnly), quarter.AddDate(0, 3, -1).Format(time.DateOnly)
		for by, least := range map[string]int{"site": 2, "modality": 1} {
			if n := told("auditor", from, to, by); n < least {
				t.Errorf("an auditor is told %d of %s from %s to %s", n, by, from, to)
			}
		}
	}
	if n := told("quality", now.AddDate(0, -pastMonths, 1-now.Day()).Format("2006-01"), now.Format("2006-01"), "month"); n < pastMonths {
		t.Errorf("the past has %d months", n)
	}
	d.checkKappa(t, data, now)
}

// checkKappa asks how far two who read the same cases of the past agree, who were chosen by lot.
func (d *demo) checkKappa(t *testing.T, data string, now time.Time) {
	t.Helper()
	token, err := os.ReadFile(filepath.Join(data, "tokens", "mercy-quality"))
	if err != nil {
		t.Fatal(err)
	}
	c := client{base: regexp.MustCompile(`BASE=(\S+)`).FindStringSubmatch(d.script)[1], token: strings.TrimSpace(string(token))}
	answer, err := c.get(t.Context(), "Measure/agreement/$agreement-of-readers?periodStart="+now.AddDate(0, -pastMonths, 1-now.Day()).Format("2006-01")+"&periodEnd="+now.Format("2006-01"))
	if err != nil {
		t.Fatal(err)
	}
	said := map[string]string{}
	for _, rating := range answer.Each("parameter") {
		parts := map[string]string{}
		for _, part := range rating.Each("part") {
			for _, value := range []string{"valueCode", "valueString", "valueInteger", "valueDecimal"} {
				if text := part.Text(value); text != "" {
					parts[part.Text("name")] = text
				}
			}
		}
		if parts["of"] == "anybody" {
			said = parts
		}
	}
	t.Logf("agreement of two: %v", said)
	kappa, err := strconv.ParseFloat(said["cohen"], 64)
	if cases, _ := strconv.Atoi(said["compared"]); err != nil || cases < 60 || kappa < 0.4 || kappa > 0.95 || said["cohenLow"] == "" || said["prevalence"] == "" || said["bias"] == "" {
		t.Errorf("agreement of two: %v", said)
	}
}

// worldReadableDir is a folder that the user whom PostgreSQL runs as can enter.
func worldReadableDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "overread-demo-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// demo is a running demo.
type demo struct {
	cmd    *exec.Cmd
	out    *transcript
	script string // the lines that it printed
}

// transcript keeps what a process prints and tells when a text has come.
type transcript struct {
	mu   sync.Mutex
	text bytes.Buffer
	last string
	seen chan struct{}
}

func (s *transcript) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text.Write(p)
	if s.last != "" && strings.Contains(s.text.String(), s.last) {
		close(s.seen)
		s.last = ""
	}
	return len(p), nil
}

func (s *transcript) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

func startDemo(t *testing.T, data string) *demo {
	t.Helper()
	taken, err := net.Listen("tcp", "127.0.0.1:0") // so that the demo must find another port
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() })
	d := &demo{
		cmd: exec.Command(os.Args[0], "demo", "--data", data, "--listen", taken.Addr().String(), "--ehr-listen", taken.Addr().String(), "--idp-listen", taken.Addr().String()),
		out: &transcript{last: "Ctrl-C stops everything", seen: make(chan struct{})},
	}
	d.cmd.Env = append(os.Environ(), asProgram+"=1")
	d.cmd.Stdout, d.cmd.Stderr = d.out, d.out
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.cmd.Process.Kill() })
	select {
	case <-d.out.seen:
	case <-time.After(3 * time.Minute):
		t.Fatalf("the demo does not come up\n%s", d.out)
	}
	begin := strings.Index(d.out.String(), "BASE=")
	end := strings.Index(d.out.String(), "To prove the audit log")
	d.script = d.out.String()[begin:end]
	return d
}

func (d *demo) tellStory(t *testing.T) {
	t.Helper()
	sh := exec.CommandContext(t.Context(), "timeout", "90", "sh")
	sh.Stdin = strings.NewReader(d.script)
	out, err := sh.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	last := -1
	for _, line := range []string{
		"the case is now: ready", "the case is now: accepted", "the case is now: reading", "before the lock: 404",
		"the case is now: locked", "the case is now: comparing", "after the reveal: 200", "the case is now: final", "the report has arrived",
	} {
		at := strings.Index(string(out), line)
		if at <= last {
			t.Errorf("%q is not there, or not in its place", line)
		}
		last = at
	}
	if t.Failed() {
		t.Logf("%s", out)
	}
}

// proveAudit runs the printed lines about the audit log.
func (d *demo) proveAudit(t *testing.T) {
	t.Helper()
	lines := regexp.MustCompile(`(?m)^(rm -f .*audit export|\S+ audit verify|sed .*audit verify).*$`).FindAllString(d.out.String(), -1)
	for i, want := range []string{" AuditEvents of mercy written to ", "proved: the ", "is NOT what was signed"} {
		if i >= len(lines) {
			t.Fatalf("%d lines about the audit log are printed", len(lines))
		}
		sh := exec.CommandContext(t.Context(), "timeout", "60", "sh", "-c", lines[i])
		sh.Env = append(os.Environ(), asProgram+"=1")
		out, err := sh.CombinedOutput()
		if !strings.Contains(string(out), want) || (err == nil) != (i < 2) {
			t.Errorf("%s\n%s%v", lines[i], out, err)
		}
	}
}

// checkStates counts the Tasks of both hospitals: every state is there.
func (d *demo) checkStates(t *testing.T) {
	t.Helper()
	base := regexp.MustCompile(`BASE=(\S+)`).FindStringSubmatch(d.script)[1]
	data := regexp.MustCompile(`STORY='(.*)/story'`).FindStringSubmatch(d.script)[1]
	found := map[workflow.State]int{}
	for name := range hospitals {
		token, err := os.ReadFile(filepath.Join(data, "tokens", name+"-coordinator"))
		if err != nil {
			t.Fatal(err)
		}
		tasks, err := client{base: base, token: strings.TrimSpace(string(token))}.get(t.Context(), "Task?_count=100")
		if err != nil {
			t.Fatal(err)
		}
		for _, task := range tasks.Each("entry", "resource") {
			found[workflow.State(task.Text("businessStatus", "coding", "code"))]++
		}
	}
	for _, row := range workflow.States {
		if found[row.State] == 0 {
			t.Errorf("no sample case is %s", row.State)
		}
	}
}

// checkShowcases runs the line that leads to the first of the cases to look at, and
// looks whether they are what the printed words promise.
func (d *demo) checkShowcases(t *testing.T) {
	t.Helper()
	line := regexp.MustCompile(`(?m)^ +(curl .*based-on:ServiceRequest.*)$`).FindStringSubmatch(d.out.String())
	if line == nil {
		t.Fatalf("no line leads to the cases to look at\n%s", d.out)
	}
	for _, show := range showcases {
		i := slices.Index(sampleCases, show.row)
		if !strings.Contains(d.out.String(), "    "+sampleNumber(i)+"  ") {
			t.Errorf("%s is not printed", sampleNumber(i))
		}
		asked := regexp.MustCompile(`identifier=[0-9-]+`).ReplaceAllString(line[1], "identifier="+sampleNumber(i))
		asked = strings.ReplaceAll(asked, "mercy-okafor", "mercy-coordinator")
		out, err := exec.CommandContext(t.Context(), "sh", "-c", asked).CombinedOutput()
		if want := `"code":"` + string(show.row.until) + `"`; err != nil || !strings.Contains(string(out), want) {
			t.Errorf("%s: %v, want %s in\n%s", asked, err, want, out)
		}
	}
	if out, err := exec.CommandContext(t.Context(), "sh", "-c", line[1]).CombinedOutput(); err != nil || !strings.Contains(string(out), `"code":"conferring"`) {
		t.Errorf("%s: %v\n%s", line[1], err, out)
	}
}

// stop is Ctrl-C. Nothing that the demo started may be left.
func (d *demo) stop(t *testing.T) {
	t.Helper()
	if err := d.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- d.cmd.Wait() }()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("the demo ended with %v\n%s", err, d.out)
		}
	case <-time.After(30 * time.Second):
		t.Fatalf("the demo does not stop\n%s", d.out)
	}
	for _, url := range regexp.MustCompile(`(?m)^(?:BASE|EHR)=http://(\S+)/fhir`).FindAllStringSubmatch(d.script, -1) {
		if conn, err := net.Dial("tcp", url[1]); err == nil {
			_ = conn.Close()
			t.Errorf("something still listens at %s", url[1])
		}
	}
}

func TestTheSamplesAreWhole(t *testing.T) {
	t.Parallel()
	var states []workflow.State
	for _, row := range sampleCases {
		if _, ok := samples[row.sample]; !ok {
			t.Errorf("there is no sample %q", row.sample)
		}
		states = append(states, row.until)
	}
	for _, show := range showcases {
		if !slices.Contains(sampleCases, show.row) {
			t.Errorf("there is no case %v to show", show.row)
		}
	}
	for _, row := range workflow.States {
		if !slices.Contains(states, row.State) {
			t.Errorf("no sample case goes to %s", row.State)
		}
	}
}
