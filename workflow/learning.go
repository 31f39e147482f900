package workflow

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
)

// LearningPoint is what others may learn from a case. It names no patient and no
// reader.
type LearningPoint struct {
	Text  string
	Tags  []string
	Names []string // of the patient and of those who had part: none may stand in the text
	No    int      // withdraw-learning-point: which
}

// GivenPoint is a learning point as it is kept.
type GivenPoint struct {
	PointNo int
	Text    string
	Tags    []string
	AddedBy uuid.UUID
	AddedAt time.Time
}

var tagPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{1,39}$`)

var pointGiven = Guard{"pointGiven", "there is a text, with at most 8 tags, in which nobody is named: neither the patient nor who read",
	func(_ context.Context, t *turn) error {
		p := t.in.Point
		switch {
		case p == nil || strings.TrimSpace(p.Text) == "":
			return refuse("a learning point needs its text")
		case len(p.Text) > longestNote:
			return refuse("the text is longer than %d bytes", longestNote)
		case len(p.Tags) > 8 || slices.ContainsFunc(p.Tags, func(tag string) bool { return !tagPattern.MatchString(tag) }):
			return refuse("at most 8 tags, each in small letters, digits and hyphens, such as lung-nodule")
		case Named(p.Text, p.Names):
			return refuse("a learning point names nobody: take names, numbers and dates of the patient, and names of readers, out of the text")
		}
		return nil
	}}

var hadPart = Guard{"hadPart", "the actor read, adjudicated or supervised the case, or has the quality role",
	func(_ context.Context, t *turn) error {
		if t.actor.Role == access.Quality {
			return nil
		}
		if slices.Contains(t.c.readBy(), t.actor.ID) {
			return nil
		}
		return forbid("only who had a part in this case adds what is to be learnt from it")
	}}

var addPoint = Effect{"addPoint", "the learning point is kept in the quality compartment",
	func(ctx context.Context, t *turn) error {
		var no int
		err := t.tx.QueryRow(ctx, `
			INSERT INTO learning_point (tenant_id, case_id, point_no, text, tags, added_by, added_at)
			SELECT overread_tenant(), @case_id, coalesce(max(point_no), 0) + 1, @text, @tags, @by, @now
			FROM learning_point
			WHERE case_id = @case_id
			RETURNING point_no`,
			pgx.NamedArgs{"case_id": t.c.CaseID, "text": t.in.Point.Text, "tags": listed(t.in.Point.Tags), "by": t.actor.ID, "now": t.now}).Scan(&no)
		if err != nil {
			return fmt.Errorf("insert learning point: %w", err)
		}
		t.detail["pointNo"] = no
		return nil
	}}

var withdrawPoint = Effect{"withdrawPoint", "the learning point is in no feedback and no pack any more",
	func(ctx context.Context, t *turn) error {
		no := 0
		if t.in.Point != nil {
			no = t.in.Point.No
		}
		tag, err := t.tx.Exec(ctx, `
			UPDATE learning_point
			SET withdrawn_at = @now
			WHERE case_id = @case_id AND point_no = @no AND withdrawn_at IS NULL`,
			pgx.NamedArgs{"case_id": t.c.CaseID, "no": no, "now": t.now})
		if err != nil {
			return fmt.Errorf("withdraw learning point: %w", err)
		}
		if tag.RowsAffected() == 0 {
			return refuse("this case has no learning point of this number")
		}
		t.detail["pointNo"] = no
		return nil
	}}

// PointsTx are the learning points of a case that stand, the first one first.
func PointsTx(ctx context.Context, tx pgx.Tx, caseID uuid.UUID) ([]GivenPoint, error) {
	rows, err := tx.Query(ctx, `
		SELECT point_no, text, tags, added_by, added_at
		FROM learning_point
		WHERE case_id = $1 AND withdrawn_at IS NULL
		ORDER BY point_no`, caseID)
	if err != nil {
		return nil, fmt.Errorf("learning points: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[GivenPoint])
}

// Named tells whether one of these names or numbers stands in a text as words of
// its own, whatever the case of its letters. Parts of one or two letters do not
// count: initials are words of every language.
func Named(text string, names []string) bool {
	words := " " + strings.Join(plainWords(text), " ") + " "
	return slices.ContainsFunc(names, func(name string) bool {
		parts := plainWords(name)
		joined := strings.Join(parts, " ")
		return len(strings.ReplaceAll(joined, " ", "")) > 2 && strings.Contains(words, " "+joined+" ")
	})
}

// NameWords are the ways in which the name of a person may stand in a text: whole,
// each word of it longer than two letters, and with a title before it those words
// that mean something by themselves, such as Bone or Second. Titles alone name
// nobody.
func NameWords(name string) []string {
	words := plainWords(name)
	var forms []string
	if len(words) > 1 {
		forms = append(forms, name)
	}
	for _, word := range words {
		switch {
		case utf8.RuneCountInString(word) < 3 || titles[word]:
		case ordinary[word]:
			for _, title := range []string{"dr", "doctor", "prof", "professor", "mr", "mrs", "ms"} {
				forms = append(forms, title+" "+word)
			}
		default:
			forms = append(forms, word)
		}
	}
	return forms
}

// titles and what stands between names.
var titles = setOf("dr med mag prof professor doctor mister mrs miss sir dame jun sen junior senior frcr facr mbbs von van vom zum zur der den del des dos las los")

// ordinary are names of people that are words of reports too. A text in which one
// stands alone names nobody.
var ordinary = setOf("bone long short young old head foot hand arm back chest heart neck chin marrow black white green brown gray grey red rose reader first second third " +
	"fourth fifth good best sharp small little large strong wise bright light dark day may march april june august summer winter field hill wood stone rock lake ford bridge " +
	"hall house church king price rich case page report west east north south left right may will hope grace faith art mark bill frank grant miles major minor noble " +
	"early late low high moss reed bush berry ball bell banks wells waters rivers pool pond gap shaft cross church lane street park cook baker fisher hunter miller mason carter")

func setOf(words string) map[string]bool {
	set := map[string]bool{}
	for word := range strings.FieldsSeq(words) {
		set[word] = true
	}
	return set
}

// Anonymous is the text, or nothing but that it is left out where somebody is
// named in it.
func Anonymous(text string, names []string) string {
	if Named(text, names) {
		return "(left out: it names somebody)"
	}
	return text
}

// plainWords are the words of a text in small letters.
func plainWords(text string) []string {
	return strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r) })
}
