package hooks

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// maxForwardedHeaders is the maximum number of Options.ForwardHeaders.
	maxForwardedHeaders = 32
	// minTimeout is the minimum of Callback.Timeout.
	minTimeout = 10 * time.Millisecond
	// maxTimeout is the maximum of Callback.Timeout.
	maxTimeout = 30 * time.Second
)

// FieldError says what is wrong with an option.
type FieldError struct {
	// Field is the configuration key that sets the option.
	Field   string
	Problem string
	Remedy  string
}

// Error returns field, problem and remedy.
func (e *FieldError) Error() string { return e.Field + ": " + e.Problem + "; " + e.Remedy }

// Check returns an error that joins the Problems, or nil when there are none.
func Check(o Options) error {
	problems := Problems(o)
	errs := make([]error, 0, len(problems))
	for _, p := range problems {
		errs = append(errs, p)
	}
	return errors.Join(errs...)
}

// Problems returns everything that is wrong with the options. The texts contain neither secrets nor URLs, which may
// contain a key.
func Problems(o Options) []*FieldError {
	c := &checker{}
	for _, hook := range []struct {
		name string
		Callback
	}{
		{HookConnect, o.Connect}, {HookSubscribe, o.Subscribe}, {HookPublish, o.Publish}, {HookRPC, o.RPC},
		{HookRefresh, o.Refresh}, {HookSubRefresh, o.SubRefresh},
	} {
		c.callback(hook.name, hook.Callback)
	}
	if _, err := newSigner(o.Secret); err != nil {
		c.fail("hook-secret", "make one with: echo whsec_$(openssl rand -base64 32)", "%v", err)
	}
	if len(o.ForwardHeaders) > maxForwardedHeaders {
		c.fail("hook-forward-headers", "leave some out", "%d headers are more than %d", len(o.ForwardHeaders),
			maxForwardedHeaders)
	}
	for _, name := range o.ForwardHeaders {
		if !forwardable(name) {
			c.fail("hook-forward-headers", "name headers of the client, like Cookie", "%q cannot be forwarded", name)
		}
	}
	c.url("webhook-url", o.WebhookURL)
	c.events(o)
	return c.problems
}

// checker collects problems without repetitions: all hooks may share a setting.
type checker struct{ problems []*FieldError }

// fail adds a problem.
func (c *checker) fail(field, remedy, problem string, args ...any) {
	failed := &FieldError{Field: field, Problem: fmt.Sprintf(problem, args...), Remedy: remedy}
	if !slices.ContainsFunc(c.problems, func(known *FieldError) bool { return *known == *failed }) {
		c.problems = append(c.problems, failed)
	}
}

// callback checks one hook.
func (c *checker) callback(name string, hook Callback) {
	name = strings.ReplaceAll(name, "_", "-")
	c.url("hook-"+name+"-url", hook.URL)
	if hook.Timeout != 0 && (hook.Timeout < minTimeout || hook.Timeout > maxTimeout) {
		c.fail("hook-timeout", fmt.Sprintf("give a duration from %v to %v", minTimeout, maxTimeout), "%v is out of range",
			hook.Timeout)
	}
	switch whenDown := "hook-" + name + "-when-down"; {
	case !slices.Contains([]Policy{"", Refuse, Allow}, hook.WhenDown):
		c.fail(whenDown, fmt.Sprintf("use %s or %s", Refuse, Allow), "%q is not known", hook.WhenDown)
	case name == HookRPC && hook.WhenDown == Allow:
		c.fail(whenDown, fmt.Sprintf("use %s or leave it out", Refuse), "a call without its backend has no result to allow")
	}
}

// url checks a URL. An empty one is valid and means that the hook is off.
func (c *checker) url(field, value string) {
	if value == "" {
		return
	}
	// The text of err contains the URL.
	u, err := url.Parse(value)
	switch {
	case err != nil:
		c.fail(field, "write http://host/path or https://host/path", "this is no URL")
	case u.User != nil:
		c.fail(field, "leave user and password out, and use hook-secret to prove the sender", "the URL holds credentials")
	case u.Scheme != "http" && u.Scheme != "https":
		c.fail(field, "write http://host/path or https://host/path", "the URL is neither http nor https")
	case u.Hostname() == "":
		c.fail(field, "write http://host/path or https://host/path", "the URL has no host")
	case strings.Contains(value, " "):
		c.fail(field, "write %20 for a space, or leave it out", "the URL has a space in it")
	case u.Port() != "" && !isPort(u.Port()):
		c.fail(field, "give a port from 1 to 65535", "the URL's port is out of range")
	case u.Fragment != "":
		c.fail(field, "leave out what follows the #", "the URL has a fragment, which is never sent")
	}
}

// isPort reports whether text is a port from 1 to 65535.
func isPort(text string) bool {
	n, err := strconv.ParseUint(text, 10, 16)
	return err == nil && n > 0
}

// events checks the events of the webhook.
func (c *checker) events(o Options) {
	for _, name := range o.WebhookEvents {
		if !slices.Contains(kinds(), Kind(name)) {
			c.fail("webhook-events", "use "+list(kinds()), "%q is not known", name)
		}
	}
	if len(o.WebhookEvents) > 0 && o.WebhookURL == "" {
		c.fail("webhook-events", "set webhook-url, or leave both out", "events are named, but webhook-url is empty")
	}
}

// list returns names with spaces between them.
func list(names []Kind) string { return strings.Trim(fmt.Sprintf("%v", names), "[]") }
