package fhir

import "github.com/jackc/pgx/v5"

// pageBytes bounds what the resources of one page have together. A page that
// would be larger ends early, and its next link goes on.
const pageBytes = 32 << 20

// sized is what a page is made of.
type sized interface{ size() int }

func (r Stored) size() int { return len(r.Body) }

// readPage reads what a page can hold, and one more where there is more. It reads no
// resource into memory that the page has no room for.
func readPage[T sized](rows pgx.Rows) ([]T, error) {
	defer rows.Close()
	var all []T
	for size := 0; (size <= pageBytes || len(all) < 2) && rows.Next(); {
		r, err := pgx.RowToStructByName[T](rows)
		if err != nil {
			return nil, err
		}
		all = append(all, r)
		size += r.size()
	}
	rows.Close()
	return all, rows.Err()
}

// pageEnd is how many of these a page holds, which may have count: as many as
// have room together, and one in any case.
func pageEnd[T sized](all []T, count int) int {
	size := 0
	for i, r := range all[:min(len(all), count)] {
		if size += r.size(); size > pageBytes && i > 0 {
			return i
		}
	}
	return min(len(all), count)
}
