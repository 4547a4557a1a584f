package auth

import (
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// registered holds the registered claims of RFC 7519, section 4.1, in the form that the JWT library's validator asks
// for.
type registered struct {
	user, issuer                   string
	audience                       []string
	issuedAt, notBefore, expiresAt time.Time
}

// read reads the claims, or returns an ErrInvalid.
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

// GetExpirationTime implements jwt.Claims. It returns nothing and no error, because Verifier.validate checks exp
// itself.
func (*registered) GetExpirationTime() (*jwt.NumericDate, error) { return nil, nil }

// GetIssuedAt implements jwt.Claims. It never returns an error.
func (r *registered) GetIssuedAt() (*jwt.NumericDate, error) { return date(r.issuedAt), nil }

// GetNotBefore implements jwt.Claims. It never returns an error.
func (r *registered) GetNotBefore() (*jwt.NumericDate, error) { return date(r.notBefore), nil }

// GetIssuer implements jwt.Claims. It never returns an error.
func (r *registered) GetIssuer() (string, error) { return r.issuer, nil }

// GetSubject implements jwt.Claims. It never returns an error.
func (r *registered) GetSubject() (string, error) { return r.user, nil }

// GetAudience implements jwt.Claims. It never returns an error.
func (r *registered) GetAudience() (jwt.ClaimStrings, error) { return r.audience, nil }

func date(t time.Time) *jwt.NumericDate {
	if t.IsZero() {
		return nil
	}
	return &jwt.NumericDate{Time: t}
}
