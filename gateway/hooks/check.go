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

// Bounds of Callback.Timeout and ForwardHeaders.
const (
	mostForwarded = 32

	leastTimeout = 10 * time.Millisecond
	mostTimeout  = 30 * time.Second
)

// FieldError is an option that cannot be used, by the key that sets it.
type FieldError struct{ Field, Problem, Remedy string }

func (e *FieldError) Error() string { return e.Field + ": " + e.Problem + "; " + e.Remedy }

// Check says what is wrong with the options, all of it, and nil when they can be used.
func Check(o Options) error {
	problems := Problems(o)
	errs := make([]error, 0, len(problems))
	for _, p := range problems {
		errs = append(errs, p)
	}
	return errors.Join(errs...)
}

// Problems are what is wrong with the options. They repeat neither secrets nor URLs, which may hold some.
func Problems(o Options) []*FieldError {
	c := &checker{}
	for _, hook := range []struct {
		name string
		Callback
	}{{HookConnect, o.Connect}, {HookSubscribe, o.Subscribe}, {HookPublish, o.Publish}, {HookRPC, o.RPC}} {
		c.callback(hook.name, hook.Callback)
	}
	if _, err := newSigner(o.Secret); err != nil {
		c.fail("hook-secret", "make one with: echo whsec_$(openssl rand -base64 32)", "%v", err)
	}
	if len(o.ForwardHeaders) > mostForwarded {
		c.fail("hook-forward-headers", "leave some out", "%d headers are more than %d", len(o.ForwardHeaders), mostForwarded)
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

// checker collects problems, each once: four hooks may share one.
type checker struct{ problems []*FieldError }

func (c *checker) fail(field, remedy, problem string, args ...any) {
	failed := &FieldError{Field: field, Problem: fmt.Sprintf(problem, args...), Remedy: remedy}
	if !slices.ContainsFunc(c.problems, func(known *FieldError) bool { return *known == *failed }) {
		c.problems = append(c.problems, failed)
	}
}

func (c *checker) callback(name string, hook Callback) {
	c.url("hook-"+name+"-url", hook.URL)
	if hook.Timeout != 0 && (hook.Timeout < leastTimeout || hook.Timeout > mostTimeout) {
		c.fail("hook-timeout", fmt.Sprintf("give a duration from %v to %v", leastTimeout, mostTimeout), "%v is out of range", hook.Timeout)
	}
	switch whenDown := "hook-" + name + "-when-down"; {
	case !slices.Contains([]Policy{"", Refuse, Allow}, hook.WhenDown):
		c.fail(whenDown, fmt.Sprintf("use %s or %s", Refuse, Allow), "%q is not known", hook.WhenDown)
	case name == HookRPC && hook.WhenDown == Allow:
		c.fail(whenDown, fmt.Sprintf("use %s or leave it out", Refuse), "a call without its backend has no result to allow")
	}
}

// url takes an empty one: the hook is off.
func (c *checker) url(field, value string) {
	if value == "" {
		return
	}
	// The error of a URL that cannot be read repeats it.
	u, err := url.Parse(value)
	switch {
	case err != nil:
		c.fail(field, "write http://host/path or https://host/path", "this is no URL")
	case u.User != nil:
		c.fail(field, "leave user and password out, and use hook-secret to prove who asks", "the URL holds credentials")
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

func isPort(text string) bool {
	n, err := strconv.ParseUint(text, 10, 16)
	return err == nil && n > 0
}

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

func list(names []Kind) string { return strings.Trim(fmt.Sprintf("%v", names), "[]") }
