package web

import (
	"maps"
	"slices"

	"github.com/overread/overread/internal/access"
)

// adminDone says what has just been done, by the code in the address.
var adminDone = map[string]string{
	"system-added":     "The system is registered.",
	"system-rotated":   "The system has other keys now. Tokens that it had by the old ones are good no longer.",
	"system-revoked":   "The system is revoked: its next request is refused.",
	"keys-revoked":     "The keys of this owner are revoked: the next request with one of them is refused.",
	"launch-added":     "The EHR is listed: its clinicians may open Overread.",
	"launch-removed":   "The EHR is off the list, and the views that it had opened are closed.",
	"group-added":      "The group means this role from the next sign-in of its members, yourself excepted.",
	"group-removed":    "The group does not mean this role any more. Whoever had it was signed out.",
	"role-granted":     "The role is given. It counts from the person’s next sign-in.",
	"role-revoked":     "The role is taken. Sessions in which the person had it have ended.",
	"sessions-ended":   "Ended: the next request leads to the sign-in page.",
	"endpoint-paused":  "Nothing is sent to this endpoint until it is resumed. What is signed waits.",
	"endpoint-resumed": "Reports are sent to this endpoint again.",

	"endpoint-proposed":  "It is proposed. Another administrator looks at it here, and puts it in force.",
	"endpoint-withdrawn": "The proposal is gone. Nothing has changed.",
	"endpoint-set":       "It is in force. An endpoint with another address is paused: try the connection, and resume it.",
	"hospital-set":       "The settings are changed.",
	"reader-linked":      "Whoever signs in so is this reader from the next sign-in. A role that rests on credentials is given here, or by a group.",

	"tenant-added":     "The hospital is here. Say who administers it: everything else is theirs.",
	"tenant-set":       "The settings are changed.",
	"tenant-suspended": "The hospital is suspended: nothing is shown or done for it until it is resumed.",
	"tenant-resumed":   "The hospital goes on where it stopped.",
	"admins-set":       "The members of this group administer the hospital from their next sign-in, yourself excepted.",
	"provider-set":     "The identity provider is set. What its groups mean at a hospital its administrators say.",
	"provider-removed": "The identity provider is removed, and whoever signed in by it is signed out.",
}

// adminWords are the words of the codes that administrators see, by table.
var adminWords = map[string]map[string]string{
	"letter":         {"c": "create", "r": "retrieve", "u": "change", "d": "delete", "s": "search"},
	"authentication": {"public": "public, without a secret", "secret": "with a client secret", "key": "with a key of ours"},
	"packaging":      {"transaction": "report, observations and provenance together", "report": "the report alone"},
	"endpoint":       {"open": "open", "paused": "paused", "failing": "failing", "stopped": "needs somebody"},
	"trial": {
		"answers":     "It answers, and speaks FHIR.",
		"asks":        "It answers, and wants to know who asks even for what everybody may read. The way to it is open.",
		"other":       "Something answers, and it is no FHIR server at this address. Have its address corrected.",
		"fenced":      "The server may not call out to this address. Its operator decides, by the setting that is named here.",
		"untrusted":   "It answers, and its certificate is not trusted: it has expired, is for another name, or comes from an authority that this server does not know.",
		"silent":      "It does not answer in time: see that it runs, and that a firewall lets this server through.",
		"unreachable": "It cannot be reached: its name is unknown, or nothing listens there.",
	},
	"tenantstate": {"active": "at work", "suspended": "suspended", "moved": "moved away", "copied": "a copy, not at work"},
	"verdict":     {"ok": "good", "warn": "to be looked at", "fail": "bad"},
}

// vital is the words for one of the things that are looked at.
type vital struct{ Name, Well, Mend, None string }

// vitals are they: what it is, what to do when it is not good, and what it means that
// there is none.
var vitals = map[string]vital{
	"database":    {"Database", "It answers.", "See whether PostgreSQL is short of processor, memory or disk; the operator’s overread doctor says more.", ""},
	"schema":      {"Schema of the database", "It is the one that this program wants.", "Where the database has the lower number, the operator runs overread migrate. Where it has the higher one, this server is to be replaced by the new release.", ""},
	"disk":        {"Disk", "There is room.", "Make room, or give it a larger disk, before it is full: without room nothing can be signed.", ""},
	"replicas":    {"Servers", "All that said they are there still do.", "A server went away without a word: see whether its machine runs, and its log. Where it was taken away on purpose, this line goes by itself within a day.", ""},
	"agenda":      {"Clockwork", "Nothing that was due waits.", "See that a server runs against this database, and its log for the job agenda. Until then deadlines and offers stand still.", ""},
	"outbox":      {"Reports to", "What was signed arrives.", "Try the connection at the page of endpoints. Where deliveries are stopped, a coordinator looks at them at the desk of deliveries.", ""},
	"pacs":        {"PACS", "It answers.", "See that the PACS runs and lets this server ask. Cases wait for their images until then; overread doctor --pacs asks it anew.", "Studies are not looked up: cases are read by what their orders say."},
	"mail":        {"Mail", "Nothing waits.", "The operator names a mail server with --smtp-url, or looks at what it answers in the log. Escalations are shown at the board all the same.", "None is sent. Escalations are shown at the board all the same."},
	"audit-log":   {"Audit log", "Every event has its place.", "See that a server runs against this database, and its log for the job audit-log. Nothing is lost meanwhile.", ""},
	"checkpoints": {"Signature of the audit log", "What was recorded is signed.", "The operator gives the server a key (overread audit key), or looks in its log for the job audit-checkpoint.", ""},
}

// Vital is the words for a thing that is looked at.
func (healthView) Vital(kind string) vital { return vitals[kind] }

// Vital is the same, for the overview.
func (adminView) Vital(kind string) vital { return vitals[kind] }

// roleDoes says in a sentence what a role may.
var roleDoes = map[access.Role]string{
	access.Coordinator: "leads cases: intake, matching, deliveries; sees patients",
	access.Reader:      "reads and signs second opinions, by credentials",
	access.Adjudicator: "decides where two readings differ, by credentials",
	access.Supervisor:  "countersigns those in training, by credentials",
	access.Director:    "answers for the service: declares errors, opens records in an emergency",
	access.Auditor:     "sees figures without names, and in the audit trail who did what to whose record",
	access.Quality:     "sees how readings were graded; each opening is recorded",
	access.Admin:       "these pages; no patient",
}

// Does is what a role may.
func (personView) Does(role access.Role) string   { return roleDoes[role] }
func (newcomerView) Does(role access.Role) string { return roleDoes[role] }

// textsOfAdmin are all of them.
func textsOfAdmin() (all []string) {
	for _, table := range adminWords {
		all = slices.AppendSeq(all, maps.Values(table))
	}
	for _, v := range vitals {
		all = append(all, v.Name, v.Well, v.Mend, v.None)
	}
	for _, u := range usualScopes {
		all = append(all, u.Words)
	}
	all = slices.AppendSeq(all, maps.Values(roleDoes))
	return append(slices.AppendSeq(all, maps.Values(adminDone)), access.ErrScope.Error(), access.ErrQuery.Error())
}
