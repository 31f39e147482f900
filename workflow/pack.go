package workflow

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
)

// Pack is the cases of a learning meeting: no patient, no reader, no score. Once
// made it stays as it is.
type Pack struct {
	ID     uuid.UUID  `json:"-"`
	Title  string     `json:"title"`
	MadeAt time.Time  `json:"-"`
	Cases  []PackCase `json:"cases"`

	FiguresOf string       `json:"figuresOf,omitempty"` // the first day of their quarter
	Figures   []PackFigure `json:"figures,omitempty"`
}

// PackFigure is a published figure of all cases of a quarter.
type PackFigure struct {
	Measure string `json:"measure"`
	Title   string `json:"title"`
	Value   string `json:"value"`
}

// PackCase is one case of a pack.
type PackCase struct {
	Exam          string              `json:"exam"`
	Modality      string              `json:"modality,omitempty"`
	Subspecialty  string              `json:"subspecialty,omitempty"`
	Age           string              `json:"age,omitempty"` // by decades: "60 to 69"
	Level         Level               `json:"level"`
	Difference    string              `json:"difference,omitempty"`
	GoodCall      bool                `json:"goodCall,omitempty"`
	Discrepancies []PackedDiscrepancy `json:"discrepancies,omitempty"`
	Clinician     string              `json:"clinician,omitempty"` // what changed for the patient
	Right         string              `json:"right,omitempty"`
	RightBy       string              `json:"rightBy,omitempty"`
	Points        []string            `json:"points,omitempty"`
	Tags          []string            `json:"tags,omitempty"`
}

// PackedDiscrepancy is a discrepancy without what judges the reader.
type PackedDiscrepancy struct {
	Finding      string   `json:"finding"`
	Significance string   `json:"significance"`
	Nature       string   `json:"nature"`
	Direction    string   `json:"direction,omitempty"`
	Management   string   `json:"management,omitempty"`
	Causes       []string `json:"causes"`           // LearningCause
	Lacked       []string `json:"lacked,omitempty"` // by the first reader
}

// PackCaseOf is a case as a pack has it. names are those that may stand nowhere in
// it; a text that has one is left out.
func PackCaseOf(c Case, grade GivenGrade, judgements []GivenJudgement, truths []GivenTruth, points []GivenPoint, names []string) PackCase {
	p := PackCase{
		Exam: Anonymous(c.Exam.Display, names), Modality: c.Exam.Modality, Subspecialty: c.Exam.Subspecialty, Age: decade(c.Exam.PatientAge),
		Level: grade.Content.Level(), Difference: Anonymous(grade.Content.Difference, names), GoodCall: grade.Content.GoodCall,
	}
	for _, d := range grade.Content.Discrepancies {
		packed := PackedDiscrepancy{Finding: Anonymous(d.Finding, names), Significance: d.Significance, Nature: d.Nature, Direction: d.Direction, Management: d.Management,
			Lacked: d.Asymmetry, Causes: []string{LearningCause("nature", d.Nature)}}
		if len(d.Asymmetry) > 0 && d.Nature != "technique" {
			packed.Causes = append(packed.Causes, LearningCause("asymmetry", d.Asymmetry[0]))
		}
		p.Discrepancies = append(p.Discrepancies, packed)
	}
	if n := len(judgements); n > 0 {
		p.Clinician = judgements[n-1].Management
	}
	if n := len(truths); n > 0 {
		p.Right, p.RightBy = truths[n-1].Right, truths[n-1].Source
	}
	for _, point := range points {
		p.Points, p.Tags = append(p.Points, Anonymous(point.Text, names)), append(p.Tags, point.Tags...)
	}
	return p
}

// decade is an age by its decade; from 90 on there are few (45 CFR 164.514(b)(2)(i)(C)).
func decade(age int) string {
	switch {
	case age < 0:
		return ""
	case age >= 90:
		return "90 or older"
	case age < 10:
		return "0 to 9"
	}
	return fmt.Sprintf("%d to %d", age/10*10, age/10*10+9)
}

// KeepPackTx keeps a new pack and returns it with its id.
func (e *Engine) KeepPackTx(ctx context.Context, tx pgx.Tx, actor access.Actor, p Pack) (Pack, error) {
	if strings.TrimSpace(p.Title) == "" || len(p.Title) > 200 {
		return p, refuse("a pack needs a title of at most 200 bytes")
	}
	p.ID, p.MadeAt = newID(), e.moment()
	_, err := tx.Exec(ctx, `
		INSERT INTO meeting_pack (tenant_id, pack_id, title, made_by, made_at, content)
		VALUES (overread_tenant(), @id, @title, @by, @now, @content)`,
		pgx.NamedArgs{"id": p.ID, "title": p.Title, "by": actor.ID, "now": p.MadeAt, "content": p})
	if err != nil {
		return p, fmt.Errorf("insert pack: %w", err)
	}
	return p, nil
}

// PackTx is a pack as it was made; a fault of kind NotFound where there is none.
func PackTx(ctx context.Context, tx pgx.Tx, id uuid.UUID) (p Pack, err error) {
	var made time.Time
	err = tx.QueryRow(ctx, `SELECT made_at, content FROM meeting_pack WHERE pack_id = $1`, id).Scan(&made, &p)
	if errors.Is(err, pgx.ErrNoRows) {
		return p, fault.New(fault.NotFound, "there is no such pack")
	}
	if err != nil {
		return p, fmt.Errorf("pack: %w", err)
	}
	p.ID, p.MadeAt = id, made
	return p, nil
}

// PacksTx are the packs of the transaction's tenant, the newest first, without their
// cases.
func PacksTx(ctx context.Context, tx pgx.Tx, most int) ([]Pack, error) {
	rows, err := tx.Query(ctx, `
		SELECT pack_id, title, made_at
		FROM meeting_pack
		ORDER BY made_at DESC, pack_id
		LIMIT $1`, most)
	if err != nil {
		return nil, fmt.Errorf("packs: %w", err)
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (p Pack, err error) {
		return p, row.Scan(&p.ID, &p.Title, &p.MadeAt)
	})
}

// CasesToLearnTx are the Tasks of signed cases that have a learning point, with one
// of the tags where any are given, and were signed in the time; the newest first.
func CasesToLearnTx(ctx context.Context, tx pgx.Tx, from, to time.Time, tags []string, most int) ([]string, error) {
	rows, err := tx.Query(ctx, `
		SELECT c.task_id
		FROM case_file c
		WHERE c.state IN ('final', 'closed', 'amending') AND c.final_at >= @from AND c.final_at < @to
		  AND EXISTS (
			SELECT FROM learning_point p
			WHERE p.tenant_id = c.tenant_id AND p.case_id = c.case_id AND p.withdrawn_at IS NULL
			  AND (cardinality(@tags::text[]) = 0 OR p.tags && @tags::text[]))
		ORDER BY c.final_at DESC, c.case_id
		LIMIT @most`, pgx.NamedArgs{"from": from, "to": to, "tags": listed(tags), "most": most})
	if err != nil {
		return nil, fmt.Errorf("cases to learn from: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}
