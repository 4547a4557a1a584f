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

// Loaded is a checked configuration and what its operator should know about where it came from.
type Loaded struct {
	Config Config
	// File is the configuration file that was read, if any.
	File string
	// Warnings are for the log: they stop nothing.
	Warnings []string
	// Effective is every key with its value as text or list, secrets redacted.
	Effective map[string]any
}

// Load merges the configuration file, the environment and the parsed flags, in this order, and
// checks the result. All problems are reported together, each naming key, source and remedy.
func Load(flags *pflag.FlagSet, environ []string) (*Loaded, error) {
	l := &loader{cfg: Default(), sources: map[string]string{}}
	l.keys = schema(&l.cfg)

	if err := errors.Join(l.fromFile(flags, environ), l.fromEnviron(environ), l.fromFlags(flags)); err != nil {
		return nil, err
	}
	if l.cfg.NodeName == "" {
		name, err := os.Hostname()
		if err != nil {
			return nil, &Error{Key: contract.KeyNodeName, Source: "default", Problem: "the host has no name: " + err.Error(), Remedy: "set --" + contract.KeyNodeName}
		}
		l.cfg.NodeName = name
	}
	if err := l.validate(); err != nil {
		return nil, err
	}
	return &Loaded{Config: l.cfg, File: l.file, Warnings: l.warnings, Effective: l.effective()}, nil
}

// loader applies one source after another to a Config and remembers which source set which key.
type loader struct {
	cfg      Config
	keys     *pflag.FlagSet
	sources  map[string]string
	file     string
	warnings []string
}

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
	case isFault(err):
		return &Error{Key: contract.KeyConfig, Source: path, Problem: err.Error(), Remedy: "name a readable file, or leave --" + contract.KeyConfig + " out"}
	case err != nil:
		return &Error{Key: contract.KeyConfig, Source: path, Problem: "not valid YAML: " + err.Error(), Remedy: "write one `key: value` per line"}
	}
	l.file = path
	return l.apply(k.All(), func(string) string { return "file " + path }, func(key string) error {
		return &Error{Key: key, Source: "file " + path, Problem: "unknown key", Remedy: "see `wsfleet-gateway --help` for the keys; they do not nest"}
	})
}

// isFault tells a file that cannot be read from one that cannot be understood.
func isFault(err error) bool {
	_, fault := errors.AsType[*fs.PathError](err)
	return fault
}

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
	return l.apply(k.All(), func(key string) string { return "environment " + variableOf(key) }, func(key string) error {
		if name := variableOf(key); !serviceLink.MatchString(name) {
			l.warnings = append(l.warnings, "environment variable "+name+" is no configuration key and is ignored")
		}
		return nil
	})
}

func (l *loader) fromFlags(flags *pflag.FlagSet) error {
	given := pflag.NewFlagSet("", pflag.ContinueOnError)
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Changed && l.keys.Lookup(f.Name) != nil {
			given.AddFlag(f)
		}
	})
	k := koanf.New(delimiter)
	if err := k.Load(posflag.Provider(given, delimiter, k), nil); err != nil {
		return fmt.Errorf("flags: %w", err)
	}
	return l.apply(k.All(), func(key string) string { return "flag --" + key }, func(string) error { return nil })
}

// apply sets keys through the schema's own parsers, so that a value is read the same way wherever
// it came from.
func (l *loader) apply(values map[string]any, source func(key string) string, unknown func(key string) error) error {
	var errs []error
	for _, key := range slices.Sorted(maps.Keys(values)) {
		f := l.keys.Lookup(key)
		if f == nil {
			errs = append(errs, unknown(key))
			continue
		}
		if err := set(f, values[key]); err != nil {
			errs = append(errs, &Error{Key: key, Source: source(key), Problem: err.Error(), Remedy: "give a " + describe(f)})
			continue
		}
		l.sources[key] = source(key)
	}
	return errors.Join(errs...)
}

// set parses one value from whatever a source made of it. What it says of texts, which secrets are,
// does not repeat them.
func set(f *pflag.Flag, value any) error {
	if rules, ok := f.Value.(*ruleList); ok {
		return rules.take(value)
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
			items := make([]string, 0, len(v))
			for _, item := range v {
				items = append(items, fmt.Sprint(item))
			}
			return list.Replace(items)
		}
	default:
		if _, isText := v.(string); !isText && f.Value.Type() == "string" {
			// YAML has made something else of it already: 0123 is 83.
			return errors.New("is no text to YAML: put it in quotes")
		}
		text := fmt.Sprint(v)
		if isList {
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
	return errors.New("is a list")
}

// describe says what a flag wants, for a remedy.
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

// effective lists every key for `config`, secrets redacted.
func (l *loader) effective() map[string]any {
	out := map[string]any{}
	l.keys.VisitAll(func(f *pflag.Flag) {
		switch {
		case f.Name == contract.KeyConfig:
			out[f.Name] = l.file
		case secret(f.Name) && f.Value.String() != "":
			out[f.Name] = redacted
		case f.Value.Type() == "duration":
			out[f.Name] = f.Value.String()
		case f.Value.Type() == ruleListType:
			out[f.Name] = ruleMaps(l.cfg.Channels)
		default:
			out[f.Name] = posflag.FlagVal(l.keys, f)
		}
	})
	return out
}

// configFile says which file to read and whether somebody chose it. The default one may be missing.
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

func keyOf(variable string) string {
	name := strings.TrimPrefix(variable, contract.EnvPrefix)
	return strings.ToLower(strings.ReplaceAll(name, "_", "-"))
}

func variableOf(key string) string {
	return contract.EnvPrefix + strings.ToUpper(strings.ReplaceAll(key, "-", "_"))
}

const (
	// delimiter is koanf's separator of nested keys. Ours do not nest, so a nested one is unknown.
	delimiter = "."
	redacted  = "(redacted)"
)

// serviceLink matches what Kubernetes puts into every pod for a Service named wsfleet-something.
var serviceLink = regexp.MustCompile(`_(SERVICE_HOST|SERVICE_PORT(_.+)?|PORT(_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$`)
