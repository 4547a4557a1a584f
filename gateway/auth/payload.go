package auth

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/wsfleet/wsfleet/internal/channel"
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
	claimSubs     = "subs"
	claimMeta     = "meta"
	claimExpireAt = "expire_at"
	claimOverride = "override"
)

// payload holds the claims of a token by name. A struct would not do: encoding/json matches names in any case, and lets
// the last of two claims win (RFC 7519, section 4, allows only the last or an error).
type payload struct {
	registered
	claims map[string]json.RawMessage
	// overrides reports that the token has override, for itself or for a channel of subs.
	overrides bool
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
	return isSet(p.claims[claim])
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

// info returns the JSON of info or b64info, or an ErrInvalid.
func (p *payload) info() (json.RawMessage, error) {
	return infoOf(p.claims[claimInfo], p.claims[claimB64Info])
}

// end returns when what the token is for ends: at expire_at, which is 0 for never, or at exp where there is none. It
// returns an ErrInvalid.
func (p *payload) end() (time.Time, error) {
	if !p.has(claimExpireAt) {
		return p.expiresAt, nil
	}
	at, err := p.date(claimExpireAt)
	if err != nil || at.Unix() == 0 {
		return time.Time{}, err
	}
	return at, nil
}

// meta returns meta in one line, nil when it is absent, or an ErrInvalid.
func (p *payload) meta() (json.RawMessage, error) {
	if !p.has(claimMeta) {
		return nil, nil
	}
	line, err := oneLine(claimMeta, p.claims[claimMeta])
	if err == nil && line[0] != '{' {
		err = invalid("its meta is no JSON object")
	}
	return line, err
}

// subs returns the channels of subs and what belongs to each, or an ErrInvalid.
func (p *payload) subs() (map[string]Sub, error) {
	var written map[string]struct {
		Info     json.RawMessage `json:"info"`
		B64Info  json.RawMessage `json:"b64info"`
		Data     json.RawMessage `json:"data"`
		B64Data  json.RawMessage `json:"b64data"`
		Override json.RawMessage `json:"override"`
	}
	if err := p.decode(claimSubs, &written); err != nil || len(written) == 0 {
		return nil, err
	}
	subs := make(map[string]Sub, len(written))
	for name, w := range written {
		if !channel.ValidName(name) {
			return nil, invalid("its subs hold what is no name of a channel")
		}
		p.overrides = p.overrides || isSet(w.Override)
		var s Sub
		var err error
		if s.Info, err = infoOf(w.Info, w.B64Info); err != nil {
			return nil, err
		}
		if s.Data, s.Binary, err = dataOf(w.Data, w.B64Data); err != nil {
			return nil, err
		}
		subs[name] = s
	}
	return subs, nil
}

// dataOf returns the bytes of data, which is JSON, or of b64data. It returns an ErrInvalid.
func dataOf(data, b64data json.RawMessage) (b []byte, binary bool, err error) {
	switch {
	case isSet(b64data):
		b, err = decodeBase64("b64data", b64data)
		return b, true, err
	case isSet(data):
		b, err = oneLine("data", data)
	}
	return b, false, err
}

// infoOf returns the JSON of info or b64info, which wins, or nil without both. It returns an ErrInvalid.
func infoOf(info, b64info json.RawMessage) (json.RawMessage, error) {
	switch {
	case isSet(b64info):
		b, err := decodeBase64(claimB64Info, b64info)
		if err != nil {
			return nil, err
		}
		return oneLine(claimB64Info, b)
	case isSet(info):
		return oneLine(claimInfo, info)
	}
	return nil, nil
}

// isSet reports whether a value is there and not null.
func isSet(value json.RawMessage) bool { return len(value) > 0 && string(value) != "null" }

// decodeBase64 decodes a string of JSON that holds base64, or returns an ErrInvalid that names it.
func decodeBase64(name string, value json.RawMessage) ([]byte, error) {
	var text string
	if value[0] != '"' || json.Unmarshal(value, &text) != nil {
		return nil, invalid("its %s is no string", name)
	}
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, invalid("its %s is not in base64", name)
	}
	return b, nil
}

// oneLine returns JSON without the line breaks between its parts, because protocols put it into frames in which one
// separates messages. It returns an ErrInvalid that names the value.
func oneLine(name string, value []byte) ([]byte, error) {
	var line bytes.Buffer
	if !utf8.Valid(value) || json.Compact(&line, value) != nil {
		return nil, invalid("its %s holds no JSON", name)
	}
	if line.Len() > MaxInfo {
		return nil, invalid("its %s is larger than %d bytes", strings.TrimPrefix(name, "b64"), MaxInfo)
	}
	return line.Bytes(), nil
}
