package config

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/providers/posflag"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/pflag"

	"github.com/wsfleet/wsfleet/internal/contract"
)

// Loaded is a checked configuration, and where it came from.
type Loaded struct {
	Config Config
	// File is the configuration file that was read, or empty.
	File string
	// Warnings are problems that the gateway can run with. The caller logs them.
	Warnings []string
	// Effective holds the value of every key as it may be written into a configuration file, secrets redacted.
	Effective map[string]any
}

// Load merges the configuration file, the environment and the parsed flags, in this order, and checks the result.
// environ has the form of os.Environ. When the configuration cannot be used, the returned error joins one *Error for
// each problem.
func Load(flags *pflag.FlagSet, environ []string) (*Loaded, error) {
	l := &loader{sources: map[string]string{}}
	l.schema = newSchema(&l.cfg)
	if err := errors.Join(l.fromFile(flags, environ), l.fromEnviron(environ), l.fromFlags(flags)); err != nil {
		return nil, err
	}
	if l.cfg.NodeName == "" {
		name, err := os.Hostname()
		if err != nil {
			return nil, &Error{
				Key:     contract.KeyNodeName,
				Source:  "default",
				Problem: "the host has no name: " + err.Error(),
				Remedy:  "set --" + contract.KeyNodeName,
			}
		}
		l.cfg.NodeName = name
	}
	if err := l.validate(); err != nil {
		return nil, err
	}
	return &Loaded{Config: l.cfg, File: l.file, Warnings: l.warnings, Effective: l.effective()}, nil
}

// loader applies one source after another to a Config.
type loader struct {
	cfg Config
	// schema is bound to cfg.
	schema *schema
	// sources holds the source of each key that a source has set, for error messages.
	sources  map[string]string
	file     string
	warnings []string
}

// fromFile applies the configuration file. It returns an *Error, or several that are joined.
func (l *loader) fromFile(flags *pflag.FlagSet, environ []string) error {
	path, chosen := configFile(flags, environ)
	if path == "" {
		return nil
	}
	k := koanf.New(delimiter)
	err := k.Load(file.Provider(path), yaml.Parser())
	switch {
	case !chosen && errors.Is(err, fs.ErrNotExist):
		return nil
	case isUnreadable(err):
		remedy := "name a readable file, or leave --" + contract.KeyConfig + " out"
		return &Error{Key: contract.KeyConfig, Source: path, Problem: err.Error(), Remedy: remedy}
	case err != nil:
		remedy := "write one `key: value` per line"
		return &Error{Key: contract.KeyConfig, Source: path, Problem: "not valid YAML: " + err.Error(), Remedy: remedy}
	}
	l.file = path
	source := "file " + path
	return l.apply(k.All(), func(string) string { return source }, func(key string) error {
		remedy := "see `wsfleet-gateway --help` for the keys; they do not nest"
		return &Error{Key: key, Source: source, Problem: "unknown key", Remedy: remedy}
	})
}

// isUnreadable reports whether err means that a file cannot be read, and not that its content is wrong.
func isUnreadable(err error) bool {
	_, unreadable := errors.AsType[*fs.PathError](err)
	return unreadable
}

// fromEnviron applies the environment variables. Unknown ones only add warnings: Kubernetes and people put variables
// with the same prefix into the environment.
func (l *loader) fromEnviron(environ []string) error {
	k := koanf.New(delimiter)
	provider := env.Provider(delimiter, env.Opt{
		Prefix:      contract.EnvPrefix,
		EnvironFunc: func() []string { return environ },
		TransformFunc: func(name, value string) (string, any) {
			if value == "" {
				return "", nil
			}
			return keyOf(name), value
		},
	})
	if err := k.Load(provider, nil); err != nil {
		return fmt.Errorf("environment: %w", err)
	}
	source := func(key string) string { return "environment " + variableOf(key) }
	return l.apply(k.All(), source, func(key string) error {
		if name := variableOf(key); !serviceLink.MatchString(name) {
			l.warnings = append(l.warnings, "environment variable "+name+" is no configuration key and is ignored")
		}
		return nil
	})
}

// fromFlags applies the flags that were given on the command line. flags is another set than the schema's, with the
// same keys.
func (l *loader) fromFlags(flags *pflag.FlagSet) error {
	given := pflag.NewFlagSet("", pflag.ContinueOnError)
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Changed && l.schema.flags.Lookup(f.Name) != nil {
			given.AddFlag(f)
		}
	})
	k := koanf.New(delimiter)
	if err := k.Load(posflag.Provider(given, delimiter, k), nil); err != nil {
		return fmt.Errorf("flags: %w", err)
	}
	return l.apply(k.All(), func(key string) string { return "flag --" + key }, func(string) error { return nil })
}

// apply sets keys through the parsers of the schema, so that a value is read in the same way from every source. source
// names the source of a key. apply calls unknown for keys that the schema does not have. It returns the errors of
// unknown and an *Error for each value that cannot be parsed, joined.
func (l *loader) apply(
	values map[string]any, source func(key string) string, unknown func(key string) error,
) error {
	var errs []error
	for _, key := range slices.Sorted(maps.Keys(values)) {
		f := l.schema.flags.Lookup(key)
		if f == nil {
			errs = append(errs, unknown(key))
			continue
		}
		if err := set(f, values[key]); err != nil {
			remedy := "give a " + describe(f)
			errs = append(errs, &Error{Key: key, Source: source(key), Problem: err.Error(), Remedy: remedy})
			continue
		}
		l.sources[key] = source(key)
	}
	return errors.Join(errs...)
}

// set parses the value of one key, in the type that the source's parser gave it. Its errors do not repeat texts, which
// may be secrets.
func set(f *pflag.Flag, value any) error {
	if rules, ok := f.Value.(*ruleList); ok {
		return rules.setAny(value)
	}
	list, isList := f.Value.(pflag.SliceValue)
	switch v := value.(type) {
	case nil:
		return errors.New("has no value")
	case map[string]any:
		return errors.New("is a map")
	case []string:
		if isList {
			return list.Replace(v)
		}
	case []any:
		if isList {
			return list.Replace(texts(v))
		}
	default:
		return setScalar(f, v)
	}
	return errors.New("is a list")
}

// setScalar parses a value that is no list.
func setScalar(f *pflag.Flag, value any) error {
	if _, isText := value.(string); !isText && f.Value.Type() == "string" {
		// YAML has changed the value already: it reads 0123 as 83.
		return errors.New("is no text to YAML: put it in quotes")
	}
	text := fmt.Sprint(value)
	if list, isList := f.Value.(pflag.SliceValue); isList {
		items := strings.Split(text, ",")
		for i := range items {
			items[i] = strings.TrimSpace(items[i])
		}
		return list.Replace(items)
	}
	if err := f.Value.Set(text); err != nil {
		return fmt.Errorf("%q is not a %s", text, f.Value.Type())
	}
	return nil
}

// texts returns the items of a YAML list as texts.
func texts(items []any) []string {
	out := make([]string, 0, len(items))
	for _, item := range items {
		out = append(out, fmt.Sprint(item))
	}
	return out
}

// describe returns what a key accepts, for a remedy.
func describe(f *pflag.Flag) string {
	switch f.Value.Type() {
	case "duration":
		return "duration with a unit, like 30s or 5m"
	case "int", "int64":
		return "whole number"
	case "bool":
		return "true or false"
	case ruleListType:
		return "list of rules with texts in quotes, as a flag or variable in JSON: " + ruleExample
	case "stringSlice":
		return "list of texts"
	default:
		return "text"
	}
}

// effective returns the value of every key, secrets redacted.
func (l *loader) effective() map[string]any {
	out := map[string]any{}
	l.schema.flags.VisitAll(func(f *pflag.Flag) {
		switch {
		case f.Name == contract.KeyConfig:
			out[f.Name] = l.file
		case l.schema.secrets[f.Name] && f.Value.String() != "":
			out[f.Name] = redacted
		case f.Value.Type() == "duration":
			out[f.Name] = f.Value.String()
		case f.Value.Type() == ruleListType:
			out[f.Name] = ruleMaps(l.cfg.Channels)
		default:
			out[f.Name] = posflag.FlagVal(l.schema.flags, f)
		}
	})
	return out
}

// configFile returns the path of the configuration file, and whether it was configured. The default one may be missing.
func configFile(flags *pflag.FlagSet, environ []string) (path string, chosen bool) {
	if f := flags.Lookup(contract.KeyConfig); f != nil && f.Changed {
		return f.Value.String(), true
	}
	prefix := variableOf(contract.KeyConfig) + "="
	for _, e := range environ {
		if path, ok := strings.CutPrefix(e, prefix); ok && path != "" {
			return path, true
		}
	}
	return contract.ConfigFile, false
}

// keyOf returns the key of an environment variable.
func keyOf(variable string) string {
	name := strings.TrimPrefix(variable, contract.EnvPrefix)
	return strings.ToLower(strings.ReplaceAll(name, "_", "-"))
}

// variableOf returns the environment variable of a key.
func variableOf(key string) string {
	return contract.EnvPrefix + strings.ToUpper(strings.ReplaceAll(key, "-", "_"))
}

const (
	// delimiter is koanf's separator of nested keys. The keys here do not nest, so a nested one is unknown.
	delimiter = "."
	redacted  = "(redacted)"
)

// serviceLink matches the environment variables that Kubernetes adds to every pod for a Service whose name begins with
// wsfleet.
var serviceLink = regexp.MustCompile(
	`_(SERVICE_HOST|SERVICE_PORT(_.+)?|PORT(_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$`)
