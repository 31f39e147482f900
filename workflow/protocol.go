package workflow

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/google/uuid"
)

// Protocol says what the reader may see before the lock.
type Protocol string

// The protocols.
const (
	Unblinded Protocol = "unblinded"
	Blinded   Protocol = "blinded"
)

// ReadingProtocol says how many read a case independently, and how two opinions
// become one. The words are those of the NHS data dictionary (breast screening
// reading protocol); "recall" is, for a second opinion, that somebody must act.
type ReadingProtocol string

// The reading protocols.
const (
	SingleReading ReadingProtocol = "single"                 // one reads
	RecallIfOne   ReadingProtocol = "recall-if-one-suggests" // two read; the opinion that is more pressing stands
	ByConsensus   ReadingProtocol = "consensus"              // two read; where they differ they agree on one text
	ByArbitration ReadingProtocol = "arbitration"            // two read; where they differ a third decides
	MixedReading  ReadingProtocol = "mixed"                  // consensus, and arbitration where there is none in time
)

var (
	protocols        = []Protocol{Unblinded, Blinded}
	readingProtocols = []ReadingProtocol{SingleReading, RecallIfOne, ByConsensus, ByArbitration, MixedReading}
)

// How two opinions became one: case_file.settled.
const (
	settledAgreed     = "agreed"        // one stands by the other's opinion
	settledConsensus  = "consensus"     // both stand by a text that they have found together
	settledPressing   = "more-pressing" // the protocol takes the more pressing one
	settledArbitrated = "arbitrated"    // a third reader has decided
	settledForgone    = "forgone"       // the coordinator did without the second reading
)

// ProtocolWish is what somebody wants of the protocol; "" leaves it open.
type ProtocolWish struct {
	Protocol Protocol        `json:"protocol,omitempty"`
	Reading  ReadingProtocol `json:"reading,omitempty"`
}

func (w ProtocolWish) empty() bool { return w == ProtocolWish{} }

// ProtocolWishOf sorts a code of the protocol, of either kind; not ok for
// a word that is none.
func ProtocolWishOf(code string) (w ProtocolWish, ok bool) {
	switch {
	case slices.Contains(protocols, Protocol(code)):
		return ProtocolWish{Protocol: Protocol(code)}, true
	case slices.Contains(readingProtocols, ReadingProtocol(code)):
		return ProtocolWish{Reading: ReadingProtocol(code)}, true
	}
	return w, false
}

// decideProtocol says by what protocol a case is read, and why: the order may
// ask where the policy lets it, then a rule of triage says, then the policy. It
// is decided when the order is found complete; until then (triage is nil) a case
// is held as blind as any rule could make it. Where two read, both are blinded.
func decideProtocol(p Policy, asked ProtocolWish, triage *Triage) (protocol Protocol, reading ReadingProtocol, why string) {
	protocol, reading, why = p.Protocol, cmp.Or(p.Reading, SingleReading), "policy"
	blindest := func() bool {
		return slices.ContainsFunc(p.Triage, func(r TriageRule) bool { return r.Then.Protocol == Blinded })
	}
	switch {
	case triage != nil && triage.Protocol != ProtocolWish{}:
		protocol, reading = cmp.Or(triage.Protocol.Protocol, protocol), cmp.Or(triage.Protocol.Reading, reading)
		why = triage.Rule
	case triage == nil && (blindest() || p.OrderMayAskProtocol && asked.Protocol == ""):
		protocol, why = Blinded, "until order and triage have decided"
	}
	switch {
	case asked.empty():
	case p.OrderMayAskProtocol:
		protocol, reading = cmp.Or(asked.Protocol, protocol), cmp.Or(asked.Reading, reading)
		why = "order"
	default:
		why += "; the order asked for " + asked.String() + ", which the policy does not allow"
	}
	if reading != SingleReading { // what one of two raises before the lock is withheld from the other as the original is
		protocol = Blinded
	}
	return protocol, reading, why
}

// decideProtocol notes how the case is read. A sample for quality work is always a
// single blinded reading.
func (c *Case) decideProtocol(triage *Triage) {
	if c.SampleOf != nil {
		c.Protocol, c.Reading, c.ProtocolWhy = Blinded, SingleReading, "sample for quality"
		return
	}
	c.Protocol, c.Reading, c.ProtocolWhy = decideProtocol(c.Policy, c.Exam.asked(), triage)
}

func (w ProtocolWish) String() string {
	switch {
	case w.Protocol == "":
		return string(w.Reading)
	case w.Reading == "":
		return string(w.Protocol)
	}
	return fmt.Sprintf("%s, %s", w.Protocol, w.Reading)
}

// double: two read the case independently.
func (c *Case) double() bool { return c.Reading != "" && c.Reading != SingleReading }

// Unsettled tells whether two read the case and have not come to one opinion yet.
// Until then neither is told of the other.
func (c *Case) Unsettled() bool { return c.double() && c.Settled == nil }

// lead is who takes the case through the comparison to the signature: its
// reader, or the third reader who has decided between two.
func (c *Case) lead() *uuid.UUID {
	if c.settledBy(settledArbitrated) && c.AdjudicatorID != nil {
		return c.AdjudicatorID
	}
	return c.ReaderID
}

// Owner answers for the case: the reader who has it, the third reader from their claim
// on, and of a signed one who signed it or stands in. Nobody, while two read who are not
// to know of each other; who was overruled does not own what they differ from.
func (c Case) Owner() *uuid.UUID {
	switch {
	case c.Unsettled():
		return nil
	case c.ReportNo > 0:
		return c.signerOrStandIn()
	}
	return cmp.Or(c.AdjudicatorID, c.ReaderID)
}

func (c *Case) settledBy(how string) bool { return c.Settled != nil && *c.Settled == how }

// both stand behind the text of the report.
func (c *Case) both() bool { return c.settledBy(settledAgreed) || c.settledBy(settledConsensus) }

// IsOneOfTwo tells whether somebody is one of the two who have read the case.
func (c *Case) IsOneOfTwo(who uuid.UUID) bool {
	return c.ReaderID != nil && *c.ReaderID == who || c.OtherReaderID != nil && *c.OtherReaderID == who
}

// partOf is which part of the case an opinion is that the reader in turn writes, on
// hold too.
func (c *Case) partOf() ReadingPart {
	state := c.State
	if state == OnHold && c.ResumeState != nil {
		state = *c.ResumeState
	}
	switch {
	case state == Arbitration:
		return PartArbitration
	case state == Adjudication:
		return PartAdjudication
	case c.OtherReaderID != nil:
		return PartSecond
	}
	return PartFirst
}

// asked is what the order wants of the protocol.
func (e Exam) asked() ProtocolWish {
	if e.Asked == nil {
		return ProtocolWish{}
	}
	return *e.Asked
}
