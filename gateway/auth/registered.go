package auth

import (
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// registered are the claims that RFC 7519 names, as the JWT library's validator asks for them.
type registered struct {
	user, issuer                   string
	audience                       []string
	issuedAt, notBefore, expiresAt time.Time
}

func (r *registered) read(p *payload) (err error) {
	if r.user, err = p.text(claimUser); err != nil {
		return err
	}
	if r.issuer, err = p.text(claimIssuer); err != nil {
		return err
	}
	if r.issuedAt, err = p.date(claimIssued); err != nil {
		return err
	}
	if r.notBefore, err = p.date(claimBegins); err != nil {
		return err
	}
	if r.expiresAt, err = p.date(claimExpires); err != nil {
		return err
	}
	r.audience, err = p.oneOrMore(claimAudience)
	return err
}

// GetExpirationTime implements jwt.Claims. exp is judged apart from the others.
func (*registered) GetExpirationTime() (*jwt.NumericDate, error) { return nil, nil }

// GetIssuedAt implements jwt.Claims.
func (r *registered) GetIssuedAt() (*jwt.NumericDate, error) { return date(r.issuedAt), nil }

// GetNotBefore implements jwt.Claims.
func (r *registered) GetNotBefore() (*jwt.NumericDate, error) { return date(r.notBefore), nil }

// GetIssuer implements jwt.Claims.
func (r *registered) GetIssuer() (string, error) { return r.issuer, nil }

// GetSubject implements jwt.Claims.
func (r *registered) GetSubject() (string, error) { return r.user, nil }

// GetAudience implements jwt.Claims.
func (r *registered) GetAudience() (jwt.ClaimStrings, error) { return r.audience, nil }

func date(t time.Time) *jwt.NumericDate {
	if t.IsZero() {
		return nil
	}
	return &jwt.NumericDate{Time: t}
}
