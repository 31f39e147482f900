package workflow

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"

	"github.com/jackc/pgx/v5"
)

// PseudonymKeyTx is a key for the pseudonyms of one answer of the transaction's tenant, which
// is told by a text: the same text gives the same key, and without the tenant's secret nobody
// finds it. The secret is the one by which samples are drawn; the words before the text keep
// the two uses apart (what it draws from are 16 bytes).
func PseudonymKeyTx(ctx context.Context, tx pgx.Tx, answer string) (key [32]byte, err error) {
	secret, err := samplingSecret(ctx, tx)
	if err != nil {
		return key, err
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte("pseudonyms of an answer\x00" + answer))
	return [32]byte(mac.Sum(nil)), nil
}
