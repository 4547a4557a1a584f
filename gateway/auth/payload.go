package auth

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"time"
	"unicode/utf8"
)

// lastDate is the end of the year 9999 in Unix seconds, the last that RFC 3339 can write.
const lastDate = 253402300799

// Names of claims: those of RFC 7519, section 4.1, and our own.
const (
	claimUser     = "sub"
	claimExpires  = "exp"
	claimIssued   = "iat"
	claimBegins   = "nbf"
	claimIssuer   = "iss"
	claimAudience = "aud"
	claimInfo     = "info"
	claimB64Info  = "b64info"
	claimChannels = "channels"
	claimCaps     = "caps"
	claimChannel  = "channel"
	claimAllow    = "allow"
)

// payload holds the claims of a token by name. A struct would not do: encoding/json matches names in any case, and lets
// the last of two claims win (RFC 7519, section 4, allows only the last or an error).
type payload struct {
	registered
	claims map[string]json.RawMessage
}

// UnmarshalJSON implements json.Unmarshaler for the JWT library. It runs before the signature is verified, so that it
// only splits the object into claims. It returns an ErrInvalid.
func (p *payload) UnmarshalJSON(b []byte) error {
	if !utf8.Valid(b) {
		return invalid("its claims are not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(b))
	if start, err := d.Token(); err != nil || start != json.Delim('{') {
		return invalid("its claims are no JSON object")
	}
	p.claims = map[string]json.RawMessage{}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return invalid("its claims are no JSON object")
		}
		claim, _ := name.(string)
		if _, twice := p.claims[claim]; twice {
			return invalid("it has a claim twice")
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return invalid("its claims are no JSON object")
		}
		p.claims[claim] = value
	}
	return nil
}

// has reports whether a claim is there. Encoders write null for a claim that is not.
func (p *payload) has(claim string) bool {
	value, ok := p.claims[claim]
	return ok && string(value) != "null"
}

// text returns a claim that is a string, empty when it is absent, or an ErrInvalid.
func (p *payload) text(claim string) (s string, err error) {
	value, ok := p.claims[claim]
	if !ok {
		return "", nil
	}
	if value[0] != '"' || json.Unmarshal(value, &s) != nil {
		return "", invalid("its %s is no string", claim)
	}
	return s, nil
}

// oneOrMore returns a claim that is a string or a list of strings, or an ErrInvalid.
func (p *payload) oneOrMore(claim string) (list []string, err error) {
	value, ok := p.claims[claim]
	switch {
	case !ok:
		return nil, nil
	case value[0] == '"':
		one, err := p.text(claim)
		return []string{one}, err
	case value[0] != '[' || json.Unmarshal(value, &list) != nil:
		return nil, invalid("its %s is neither a string nor a list of strings", claim)
	}
	return list, nil
}

// date returns a NumericDate (RFC 7519, section 2), truncated to seconds, or an ErrInvalid. It is zero for an absent
// claim.
func (p *payload) date(claim string) (time.Time, error) {
	value, ok := p.claims[claim]
	if !ok {
		return time.Time{}, nil
	}
	seconds, err := strconv.ParseFloat(string(value), 64)
	if err != nil || seconds < 0 || seconds > lastDate {
		return time.Time{}, invalid("its %s is no number of seconds since 1970", claim)
	}
	return time.Unix(int64(seconds), 0), nil
}

// decode decodes a claim, unless it is absent, or returns an ErrInvalid.
func (p *payload) decode(claim string, into any) error {
	if p.has(claim) && json.Unmarshal(p.claims[claim], into) != nil {
		return invalid("its %s is not what it should be", claim)
	}
	return nil
}

// info returns the JSON of info or b64info in one line, because protocols put it into frames in which a line break
// separates messages. It returns an ErrInvalid.
func (p *payload) info() (json.RawMessage, error) {
	value := []byte(p.claims[claimInfo])
	if p.has(claimB64Info) {
		text, err := p.text(claimB64Info)
		if err != nil {
			return nil, err
		}
		if value, err = base64.StdEncoding.DecodeString(text); err != nil {
			return nil, invalid("its b64info is not in base64")
		}
	} else if !p.has(claimInfo) {
		return nil, nil
	}
	var line bytes.Buffer
	if !utf8.Valid(value) || json.Compact(&line, value) != nil {
		return nil, invalid("its b64info holds no JSON")
	}
	if line.Len() > MaxInfo {
		return nil, invalid("its info is larger than %d bytes", MaxInfo)
	}
	return line.Bytes(), nil
}
