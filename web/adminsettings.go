package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/administration"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/workflow"
)

// SettingDesk is what the rooms of policy and templates ask for (internal/administration/setting.go).
type SettingDesk struct {
	Policies    func(ctx context.Context, tenant uuid.UUID) (administration.PolicyShelf, error)
	Policy      func(ctx context.Context, tenant uuid.UUID, version int) (workflow.PolicyVersion, error)
	SetPolicy   func(ctx context.Context, by administration.By, d workflow.PolicyDocument, reason string, follows int) (workflow.PolicyVersion, bool, error)
	Templates   func(ctx context.Context, tenant uuid.UUID) ([]workflow.TemplateVersion, error)
	Template    func(ctx context.Context, tenant uuid.UUID, name string, version int) (administration.TemplateShelf, error)
	SetTemplate func(ctx context.Context, by administration.By, name string, d workflow.TemplateDocument, reason string, follows int) (workflow.TemplateVersion, bool, error)
}

// settingRooms are the policy and the report templates of a hospital.
func (s *Server) settingRooms() []room {
	return []room{
		{http.MethodGet, "/policy", "Policy", administrators, s.policyShelf},
		{http.MethodGet, "/policy/versions/:version", "", administrators, s.policyVersion},
		{http.MethodGet, "/policy/edit", "", administrators, s.editPolicy},
		{http.MethodPost, "/policy/edit", "", administrators, s.setPolicy},
		{http.MethodGet, "/templates", "Report templates", administrators, s.templateList},
		{http.MethodGet, "/templates/:template", "", administrators, s.templatePage},
		{http.MethodGet, "/templates/:template/edit", "", administrators, s.editTemplate},
		{http.MethodPost, "/templates/:template/edit", "", administrators, s.setTemplate},
		{http.MethodPost, "/templates/new", "", administrators, s.newTemplate},
	}
}

// by is who does something from a seat.
func (s *Server) by(c echo.Context, at seat) administration.By {
	from := s.caller(c)
	return administration.By{Actor: at.place.Actor, Person: at.session.PersonID, Client: from.Address, RequestID: from.RequestID}
}

// policyShelfView is the page of a policy's versions.
type policyShelfView struct {
	administration.PolicyShelf
	At, Set string // the version that was put in force just now
}

// Kept is how many open cases keep a version.
func (v policyShelfView) Kept(version int) int { return v.Open[version] }

// Defaults is how many began without any policy.
func (v policyShelfView) Defaults() int { return v.Open[0] }

func (s *Server) policyShelf(c echo.Context, at seat) error {
	shelf, err := s.Desk.Settings.Policies(c.Request().Context(), at.place.Tenant)
	if err != nil {
		return err
	}
	return s.show(c, at, "policies", "Policy", policyShelfView{shelf, s.at(at.place), c.QueryParam("set")})
}

func versionOf(c echo.Context, text string) (int, error) {
	version, err := strconv.Atoi(text)
	if err != nil || version < 0 || version > 1<<30 {
		return 0, fault.New(fault.NotFound, "There is no such version.")
	}
	return version, nil
}

// policyVersionView is the page of one version.
type policyVersionView struct {
	workflow.PolicyVersion
	At      string
	InForce int
	Kept    int
	Before  int // the version that it is compared with
	Against []int
	Changes []workflow.PolicyChange
}

func (s *Server) policyVersion(c echo.Context, at seat) error {
	ctx, tenant := c.Request().Context(), at.place.Tenant
	version, err := versionOf(c, c.Param("version"))
	if err != nil {
		return err
	}
	shelf, err := s.Desk.Settings.Policies(ctx, tenant)
	if err != nil {
		return err
	}
	v := policyVersionView{At: s.at(at.place), InForce: shelf.InForce(), Kept: shelf.Open[version], Before: max(0, version-1)}
	if text := c.QueryParam("against"); text != "" {
		if v.Before, err = versionOf(c, text); err != nil {
			return err
		}
	}
	for _, other := range shelf.Versions {
		v.Against = append(v.Against, other.Version)
	}
	v.Against = append(v.Against, 0)
	if v.PolicyVersion, err = s.Desk.Settings.Policy(ctx, tenant, version); err != nil {
		return err
	}
	v.Text = unfolded(v.Text)
	before, err := s.Desk.Settings.Policy(ctx, tenant, v.Before)
	if err != nil {
		return err
	}
	if v.Changes, err = changesOf(before, v.Document); err != nil {
		return err
	}
	return s.show(c, at, "policyversion", "Policy", v)
}

// changesOf are the settings that a document changes.
func changesOf(before workflow.PolicyVersion, document json.RawMessage) ([]workflow.PolicyChange, error) {
	old, err := administration.PolicyOf(before)
	if err != nil {
		return nil, err
	}
	now, err := administration.PolicyOf(workflow.PolicyVersion{Document: document})
	if err != nil {
		return nil, err
	}
	changes, err := workflow.PolicyChanges(old, now)
	for i := range changes {
		changes[i].Old, changes[i].New = laidOut(changes[i].Old), laidOut(changes[i].New)
	}
	return changes, err
}

// laidOut is JSON as one reads it: a list over several lines where it is long.
func laidOut(text string) string {
	var out bytes.Buffer
	if len(text) < 60 || json.Indent(&out, []byte(text), "", "  ") != nil {
		return text
	}
	return out.String()
}

// unfolded is JSON of one line over several, as somebody can change it; all else as it is.
func unfolded(text string) string {
	if strings.Contains(strings.TrimSpace(text), "\n") {
		return text
	}
	return laidOut(text)
}

// editorView is the page on which a document is written, checked and put in force.
type editorView struct {
	At, Here string // of the page that the form is sent to
	Back     string
	Kind     string // policy, template
	Name     string // of the template
	Schema   string
	Follows  int
	Text     string
	Reason   string
	Checked  bool // and nothing is wrong
	Problem  string
	Faults   []shownFault
	Odd      []shownFault
	Changes  []workflow.PolicyChange
	Preview  *workflow.Template
}

// Rows is how many lines the field has.
func (v editorView) Rows() int { return min(46, max(18, strings.Count(v.Text, "\n")+2)) }

// shownFault is one thing that is wrong, with the line on which it stands.
type shownFault struct {
	workflow.PolicyFault
	Said string // the line
}

// shownFaults have the lines of the text beside them.
func shownFaults(text string, faults workflow.PolicyErrors) (all []shownFault) {
	lines := strings.Split(text, "\n")
	for _, f := range faults {
		one := shownFault{PolicyFault: f}
		if f.Line > 0 && f.Line <= len(lines) {
			one.Said = strings.TrimSpace(lines[f.Line-1])
		}
		all = append(all, one)
	}
	return all
}

// sentText is a text area's text with the ends of line that files have.
func sentText(c echo.Context) string {
	return strings.ReplaceAll(c.FormValue("text"), "\r\n", "\n")
}

func (s *Server) policyEditor(at seat) editorView {
	here := s.at(at.place) + "/policy"
	return editorView{At: s.at(at.place), Here: here + "/edit", Back: here, Kind: "policy", Schema: s.prefix + "/schema/policy.json"}
}

func (s *Server) editPolicy(c echo.Context, at seat) error {
	ctx, tenant := c.Request().Context(), at.place.Tenant
	shelf, err := s.Desk.Settings.Policies(ctx, tenant)
	if err != nil {
		return err
	}
	v := s.policyEditor(at)
	v.Follows = shelf.InForce()
	from := v.Follows
	if text := c.QueryParam("from"); text != "" {
		if from, err = versionOf(c, text); err != nil {
			return err
		}
	}
	begin, err := s.Desk.Settings.Policy(ctx, tenant, from)
	if err != nil {
		return err
	}
	v.Text = unfolded(begin.Text)
	return s.show(c, at, "editor", "Policy", v)
}

// setPolicy checks what was written, by the checker of overread policy check, and puts
// it in force where that was asked for.
func (s *Server) setPolicy(c echo.Context, at seat) error {
	ctx, tenant := c.Request().Context(), at.place.Tenant
	v := s.policyEditor(at)
	v.Text, v.Reason = sentText(c), c.FormValue("reason")
	var err error
	if v.Follows, err = versionOf(c, c.FormValue("follows")); err != nil {
		return err
	}
	d, err := workflow.ReadNewPolicy([]byte(v.Text))
	if faults, wrong := errors.AsType[workflow.PolicyErrors](err); wrong {
		v.Faults = shownFaults(v.Text, faults)
		return s.show(c, at, "editor", "Policy", v)
	}
	if err != nil {
		return err
	}
	v.Checked, v.Odd = true, shownFaults(v.Text, d.Odd)
	if c.FormValue("do") == "set" {
		set, _, err := s.Desk.Settings.SetPolicy(ctx, s.by(c, at), d, v.Reason, v.Follows)
		if err == nil {
			return c.Redirect(http.StatusSeeOther, v.Back+"?set="+strconv.Itoa(set.Version))
		}
		if v.Problem = refusal(err); v.Problem == "" {
			return err
		}
	}
	before, err := s.Desk.Settings.Policy(ctx, tenant, v.Follows)
	if err == nil {
		v.Changes, err = changesOf(before, d.JSON)
	}
	if err != nil {
		return err
	}
	return s.show(c, at, "editor", "Policy", v)
}

// refusal is what somebody can mend on the page that they are on, "" for anything else.
func refusal(err error) string {
	known, ok := errors.AsType[*fault.Error](err)
	if ok && slices.Contains([]fault.Kind{fault.Required, fault.Value, fault.Conflict, fault.BusinessRule}, known.Kind()) {
		return known.Issues[0].Text
	}
	return ""
}

// templateListView is the page of all templates.
type templateListView struct {
	At, Problem string
	All         []workflow.TemplateVersion
}

func (s *Server) templateList(c echo.Context, at seat) error {
	return s.templatesWith(c, at, "")
}

func (s *Server) templatesWith(c echo.Context, at seat, problem string) error {
	all, err := s.Desk.Settings.Templates(c.Request().Context(), at.place.Tenant)
	if err != nil {
		return err
	}
	return s.show(c, at, "templates", "Report templates", templateListView{s.at(at.place), problem, all})
}

// newTemplate leads to the editor of a template of a new name.
func (s *Server) newTemplate(c echo.Context, at seat) error {
	name := strings.TrimSpace(c.FormValue("name"))
	if workflow.CheckTemplateName(name) != nil {
		return s.templatesWith(c, at, refusal(fault.New(fault.Value, "A template's name is of small letters, digits and hyphens, such as ct-head.")))
	}
	return c.Redirect(http.StatusSeeOther, s.at(at.place)+"/templates/"+url.PathEscape(name)+"/edit")
}

// templateView is the page of one template.
type templateView struct {
	administration.TemplateShelf
	At, Set string
}

func (s *Server) templatePage(c echo.Context, at seat) error {
	version := -1
	if text := c.QueryParam("version"); text != "" {
		var err error
		if version, err = versionOf(c, text); err != nil {
			return err
		}
	}
	shelf, err := s.Desk.Settings.Template(c.Request().Context(), at.place.Tenant, c.Param("template"), version)
	if err != nil {
		return err
	}
	return s.show(c, at, "template", "Report templates", templateView{shelf, s.at(at.place), c.QueryParam("set")})
}

func (s *Server) templateEditor(at seat, name string) editorView {
	here := s.at(at.place) + "/templates/" + url.PathEscape(name)
	return editorView{At: s.at(at.place), Here: here + "/edit", Back: here, Kind: "template", Name: name, Schema: s.prefix + "/schema/template.json"}
}

// firstTemplate is what a new template begins with.
const firstTemplate = `title: CT of the head
when: {modality: [CT], bodySite: [head, brain]}
sections:
  - id: brain
    title: Brain
    required: true
    normal: No bleeding, no mass effect, no sign of infarction.
    findings:
      - {id: bleeding, text: Intracranial bleeding}
    measurements:
      - {id: midline-shift, title: Midline shift, unit: mm, low: 0, high: 40}
`

func (s *Server) editTemplate(c echo.Context, at seat) error {
	name := c.Param("template")
	if workflow.CheckTemplateName(name) != nil {
		return fault.New(fault.NotFound, "There is no such template.")
	}
	v := s.templateEditor(at, name)
	version := -1
	if text := c.QueryParam("from"); text != "" {
		var err error
		if version, err = versionOf(c, text); err != nil {
			return err
		}
	}
	shelf, err := s.Desk.Settings.Template(c.Request().Context(), at.place.Tenant, name, version)
	switch {
	case fault.Is(err, fault.NotFound) && version < 0:
		v.Text, v.Back = firstTemplate, s.at(at.place)+"/templates"
	case err != nil:
		return err
	default:
		v.Text, v.Follows = shelf.Shown.Text, shelf.InForce()
	}
	return s.show(c, at, "editor", "Report templates", v)
}

// setTemplate is setPolicy of a template.
func (s *Server) setTemplate(c echo.Context, at seat) error {
	v := s.templateEditor(at, c.Param("template"))
	v.Text, v.Reason = sentText(c), c.FormValue("reason")
	var err error
	if v.Follows, err = versionOf(c, c.FormValue("follows")); err != nil {
		return err
	}
	d, err := workflow.ReadTemplate([]byte(v.Text))
	if faults, wrong := errors.AsType[workflow.PolicyErrors](err); wrong {
		v.Faults = shownFaults(v.Text, faults)
		return s.show(c, at, "editor", "Report templates", v)
	}
	if err != nil {
		return err
	}
	v.Checked, v.Preview = true, &d.Template
	if c.FormValue("do") == "set" {
		set, _, err := s.Desk.Settings.SetTemplate(c.Request().Context(), s.by(c, at), v.Name, d, v.Reason, v.Follows)
		if err == nil {
			return c.Redirect(http.StatusSeeOther, v.Back+"?set="+strconv.Itoa(set.Version))
		}
		if v.Problem = refusal(err); v.Problem == "" {
			return err
		}
	}
	return s.show(c, at, "editor", "Report templates", v)
}
