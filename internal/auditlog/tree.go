package auditlog

import "golang.org/x/mod/sumdb/tlog"

// peaks are the roots of the whole subtrees of a log, largest first: all that is
// needed to add to it and to know its root (RFC 6962 section 2.1).
type peaks struct {
	size   int64
	hashes []tlog.Hash
}

func (p *peaks) add(leaf tlog.Hash) {
	p.hashes = append(p.hashes, leaf)
	for n := p.size; n&1 == 1; n >>= 1 {
		last := len(p.hashes) - 1
		p.hashes[last-1] = tlog.NodeHash(p.hashes[last-1], p.hashes[last])
		p.hashes = p.hashes[:last]
	}
	p.size++
}

// root is the hash of the tree so far. Of an empty tree it is not asked.
func (p *peaks) root() tlog.Hash {
	last := len(p.hashes) - 1
	root := p.hashes[last]
	for i := last - 1; i >= 0; i-- {
		root = tlog.NodeHash(p.hashes[i], root)
	}
	return root
}
