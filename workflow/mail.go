package workflow

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/pg"
)

// Mail is a claimed row of mail, with what its text is made of: nothing of a
// patient, and no figure.
type Mail struct {
	TenantID  uuid.UUID
	MailID    uuid.UUID // the same at every attempt, so that one that came twice is seen to be one
	Recipient string
	Number    string // of the case
	TaskID    string // the case's address, below the base of the server
	Clock     ClockName
	Stage     int
	Reminder  int // Told.Reminder
	Tell      Addressee
	Tenant    string      // by its name in addresses
	Report    *KeptReport // of one; nil: of a clock
	Attempt   int
	epoch     int64
}

// KeptReport names a report that was kept of a saved query.
type KeptReport struct {
	QueryID  uuid.UUID
	StartsOn string // the first day of its period
}

// MailVerdict is what came of an attempt to send a mail.
type MailVerdict struct {
	Sent   bool
	Final  bool   // when it was not sent: trying again is of no use
	Reason string // a code of ours, never the mail server's text
}

// queueMail queues the mails of a link that was told, one for each address.
func queueMail(ctx context.Context, tx pgx.Tx, c *Case, told Told) error {
	for _, way := range told.Ways {
		if way != ByMail {
			continue
		}
		to, err := addresses(ctx, tx, told)
		if err != nil {
			return err
		}
		for _, address := range to {
			if !mailForm.MatchString(string(address)) {
				continue // of a credential, which nobody has judged: a clock speaks all the same
			}
			_, err := tx.Exec(ctx, `
				INSERT INTO mail (tenant_id, mail_id, case_id, escalation_id, recipient)
				VALUES (@tenant, @mail, @case, @escalation, @recipient)
				ON CONFLICT ON CONSTRAINT one_mail_each DO NOTHING`,
				pgx.NamedArgs{"tenant": c.TenantID, "mail": newID(), "case": c.CaseID, "escalation": told.ID, "recipient": address})
			if err != nil {
				return fmt.Errorf("queue mail: %w", err)
			}
		}
	}
	return nil
}

// QueueReportMailTx queues the mail that a report was kept: to an address, else to that
// of a credential of whom it is for, if there is one.
func QueueReportMailTx(ctx context.Context, tx pgx.Tx, query uuid.UUID, startsOn string, address *string, owner uuid.UUID) error {
	if address == nil {
		r, err := ReaderByIDTx(ctx, tx, owner)
		if errors.Is(err, pgx.ErrNoRows) || err == nil && !r.Mail.Valid() {
			return nil // who wants to know asks for the list
		}
		if err != nil {
			return err
		}
		address = (*string)(&r.Mail)
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO mail (tenant_id, mail_id, query_id, starts_on, recipient)
		VALUES (overread_tenant(), @mail, @query, @day::date, @recipient)
		ON CONFLICT ON CONSTRAINT one_mail_of_a_report DO NOTHING`,
		pgx.NamedArgs{"mail": newID(), "query": query, "day": startsOn, "recipient": *address})
	if err != nil {
		return fmt.Errorf("queue mail of a report: %w", err)
	}
	return nil
}

// addresses are where a link is mailed to: those of the policy that is in
// force now, since people change while a case keeps its policy.
func addresses(ctx context.Context, tx pgx.Tx, told Told) ([]Address, error) {
	if told.Tell == TellReader {
		r, err := ReaderByIDTx(ctx, tx, *told.PersonID)
		if errors.Is(err, pgx.ErrNoRows) || err == nil && r.Mail == "" {
			return nil, nil
		}
		return []Address{r.Mail}, err
	}
	current, err := policyTx(ctx, tx)
	if err != nil {
		return nil, err
	}
	if told.Tell == TellDirector {
		return current.policy.Contacts.Director, nil
	}
	return current.policy.Contacts.Coordinator, nil
}

// Postman sends queued mail. Any number of them may work on one database: as
// with deliveries, a mail is leased, sent without a transaction, and what came
// of it recorded under the lease's number. One whose sender died in between is
// sent again, with the same Message-ID.
type Postman struct {
	db   *pg.DB
	send func(context.Context, Mail) MailVerdict
	log  *slog.Logger
}

// NewPostman makes a postman that sends with the given function, which is
// called without a transaction. Without a function there is no mail server: it
// only gives up what has waited too long.
func NewPostman(db *pg.DB, send func(context.Context, Mail) MailVerdict, log *slog.Logger) *Postman {
	return &Postman{db: db, send: send, log: log}
}

// How mail is sent.
const (
	mailTimeout = 15 * time.Second
	mailLease   = mailTimeout + leaseSlack
	mailExpires = 24 * time.Hour // an escalation that is older is no news
	mailPause   = time.Minute    // after the first failure; then twice as long each time
	mailLongest = 30 * time.Minute
)

// Tick sends what is due, one mail after the other, until nothing is.
func (p *Postman) Tick(ctx context.Context) (sent int, err error) {
	if p.send == nil {
		return p.giveUp(ctx)
	}
	for ctx.Err() == nil {
		m, ok, err := p.claim(ctx)
		if err != nil || !ok {
			return sent, err
		}
		attempt, cancel := context.WithTimeout(ctx, mailTimeout)
		verdict := p.send(attempt, m)
		cancel()
		if err := p.record(context.WithoutCancel(ctx), m, verdict); err != nil {
			return sent, err
		}
		sent++
	}
	return sent, nil
}

// claim leases the mail that is due longest.
func (p *Postman) claim(ctx context.Context) (m Mail, ok bool, err error) {
	err = p.db.System(ctx, func(tx pgx.Tx) error {
		m, ok = Mail{}, false
		err := tx.QueryRow(ctx, `
			UPDATE mail
			SET lease_until = now() + make_interval(secs => @lease), epoch = epoch + 1, attempts = attempts + 1
			WHERE (tenant_id, mail_id) = (
				SELECT tenant_id, mail_id
				FROM mail
				WHERE state = 'queued' AND next_attempt_at <= now() AND (lease_until IS NULL OR lease_until <= now())
				  AND `+pg.AtWork+`
				ORDER BY next_attempt_at
				LIMIT 1
				FOR UPDATE SKIP LOCKED)
			RETURNING tenant_id, mail_id, attempts, epoch`,
			pgx.NamedArgs{"lease": mailLease.Seconds()}).Scan(&m.TenantID, &m.MailID, &m.Attempt, &m.epoch)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := pg.EnterTenant(ctx, tx, m.TenantID); err != nil {
			return err
		}
		ok = true
		if m.Report, err = reportOfMail(ctx, tx, &m); err != nil || m.Report != nil {
			return err
		}
		var c Case
		var rule, link int
		err = tx.QueryRow(ctx, `
			SELECT m.recipient, c.case_id, c.opened_at, c.task_id, c.policy, e.clock, e.stage, e.rule, e.link, e.tell, t.name
			FROM mail m
			JOIN tenant t ON t.tenant_id = m.tenant_id
			JOIN case_file c ON c.tenant_id = m.tenant_id AND c.case_id = m.case_id
			JOIN escalation e ON e.tenant_id = m.tenant_id AND e.escalation_id = m.escalation_id
			WHERE m.mail_id = $1`, m.MailID).Scan(&m.Recipient, &c.CaseID, &c.OpenedAt, &m.TaskID, &c.Policy, &m.Clock, &m.Stage, &rule, &link, &m.Tell, &m.Tenant)
		m.Number, m.Reminder = c.Number(), reminderNo(m.Clock, link, c.Policy.chain(rule, m.Clock))
		return err
	})
	if err != nil {
		return Mail{}, false, fmt.Errorf("claim mail: %w", err)
	}
	return m, ok, nil
}

// reportOfMail finds of which report a mail is; nil: it is of an escalation.
func reportOfMail(ctx context.Context, tx pgx.Tx, m *Mail) (*KeptReport, error) {
	var query *uuid.UUID
	var day *time.Time
	err := tx.QueryRow(ctx, `SELECT recipient, query_id, starts_on FROM mail WHERE mail_id = $1`, m.MailID).Scan(&m.Recipient, &query, &day)
	if err != nil || query == nil {
		return nil, err
	}
	return &KeptReport{*query, day.Format(time.DateOnly)}, nil
}

// giveUp parks what is no news any more.
func (p *Postman) giveUp(ctx context.Context) (int, error) {
	var parked int64
	err := p.db.System(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `
			UPDATE mail
			SET state = 'parked', reason = 'no-mail-server'
			WHERE state = 'queued' AND queued_at < now() - make_interval(secs => $1)`, mailExpires.Seconds())
		parked = tag.RowsAffected()
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("give up mail: %w", err)
	}
	if parked > 0 {
		p.log.WarnContext(ctx, "mail was given up: there is no mail server (--smtp-url / OVERREAD_SMTP_URL)", "mails", parked)
	}
	return 0, nil
}

// record writes what came of an attempt, unless the lease was lost meanwhile.
func (p *Postman) record(ctx context.Context, m Mail, v MailVerdict) error {
	ctx, cancel := context.WithTimeout(ctx, recordWithin)
	defer cancel()
	pause := min(mailPause<<min(m.Attempt-1, 10), mailLongest)
	err := p.db.Tenant(ctx, m.TenantID, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			UPDATE mail
			SET state = CASE WHEN @sent THEN 'done' WHEN @final OR queued_at < now() - make_interval(secs => @expires) THEN 'parked' ELSE 'queued' END,
			    done_at = CASE WHEN @sent THEN now() END,
			    next_attempt_at = now() + make_interval(secs => @pause), lease_until = NULL, reason = @reason
			WHERE mail_id = @mail AND epoch = @epoch AND state = 'queued'`,
			pgx.NamedArgs{"sent": v.Sent, "final": v.Final, "reason": v.Reason, "pause": pause.Seconds(), "expires": mailExpires.Seconds(), "mail": m.MailID, "epoch": m.epoch})
		return err
	})
	level := slog.LevelInfo
	if !v.Sent {
		level = slog.LevelWarn
	}
	p.log.Log(ctx, level, "mail", "tenant", m.TenantID, "mail", m.MailID, "attempt", m.Attempt, "sent", v.Sent, "reason", v.Reason)
	if err != nil {
		return fmt.Errorf("record mail: %w", err)
	}
	return nil
}
