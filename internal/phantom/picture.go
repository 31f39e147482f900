package phantom

// size is the number of rows and columns.
const size = 64

// letters are the word that every picture shows, in five rows.
var letters = map[rune][5]string{
	'S': {"###", "#..", "###", "..#", "###"},
	'Y': {"#.#", "#.#", ".#.", ".#.", ".#."},
	'N': {"#.#", "###", "###", "###", "#.#"},
	'T': {"###", ".#.", ".#.", ".#.", ".#."},
	'H': {"#.#", "#.#", "###", "#.#", "#.#"},
	'E': {"###", "#..", "##.", "#..", "###"},
	'I': {"###", ".#.", ".#.", ".#.", "###"},
	'C': {"###", "#..", "#..", "#..", "###"},
}

// picture is a slice through an ellipsoid with a small bright one inside, and
// SYNTHETIC below.
func (i Image) picture() []byte {
	pixels := make([]byte, size*size)
	depth := float64(i.Number%16)/16 - 0.5
	for y := range size {
		for x := range size {
			u, v := (float64(x)-31.5)/28, (float64(y)-26)/24
			switch {
			case (u-0.35)*(u-0.35)+(v+0.3)*(v+0.3)+depth*depth < 0.03:
				pixels[y*size+x] = 230
			case u*u+v*v+depth*depth < 0.8:
				pixels[y*size+x] = byte(90 + 40*u)
			case u*u+v*v+depth*depth < 1:
				pixels[y*size+x] = 170
			}
		}
	}
	for at, letter := range "SYNTHETIC" {
		for row, line := range letters[letter] {
			for column, dot := range line {
				if dot == '#' {
					pixels[(57+row)*size+14+4*at+column] = 255
				}
			}
		}
	}
	return pixels
}
