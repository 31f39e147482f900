package workflow

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// numberedTx are the cases that somebody means by a number: the placer's of the order,
// the accession number of the images, or ours (Case.Number). Small and capital
// letters are the same.
func numberedTx(ctx context.Context, tx pgx.Tx, number string, most int) ([]uuid.UUID, error) {
	number = strings.TrimSpace(number)
	day, tail := numberParts(number)
	rows, err := tx.Query(ctx, `
		SELECT case_id FROM (
			SELECT case_id, opened_at FROM case_file WHERE tenant_id = overread_tenant() AND lower(placer_value) = lower(@number)
			UNION
			SELECT case_id, opened_at FROM case_file WHERE tenant_id = overread_tenant() AND accession IS NOT NULL AND lower(accession) = lower(@number)
			UNION
			SELECT case_id, opened_at FROM case_file
			WHERE tenant_id = overread_tenant() AND @tail <> '' AND opened_at >= @day AND opened_at < @day + interval '1 day' AND right(case_id::text, 10) = @tail
		) found
		ORDER BY opened_at DESC
		LIMIT @most`, pgx.NamedArgs{"number": number, "day": day, "tail": tail, "most": most})
	if err != nil {
		return nil, fmt.Errorf("cases of a number: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil {
		return nil, fmt.Errorf("cases of a number: %w", err)
	}
	if found == nil {
		found = []uuid.UUID{} // none of them, and not every one
	}
	return found, nil
}

var numberForm = regexp.MustCompile(`^OR(\d{6})-?([0-9A-HJKMNP-TV-Z]{4})-?([0-9A-HJKMNP-TV-Z]{4})$`)

// numberParts are the day and the end of the id of which a number of ours is made; tail
// is "" where it is none.
func numberParts(number string) (day time.Time, tail string) {
	parts := numberForm.FindStringSubmatch(strings.ToUpper(number))
	if parts == nil {
		return time.Time{}, ""
	}
	day, err := time.Parse("060102", parts[1])
	if err != nil {
		return time.Time{}, ""
	}
	var bits uint64
	for _, digit := range parts[2] + parts[3] {
		bits = bits<<5 | uint64(strings.IndexRune(crockford, digit)) //nolint:gosec // numberForm lets pass its digits only
	}
	tail = strconv.FormatUint(bits, 16)
	return day, strings.Repeat("0", 10-len(tail)) + tail
}
