// Package fleet is what the gateways say of themselves: one scrape, one snapshot, for everyone in
// the operator who asks. Status is made from it, so that no two parts of the operator disagree.
package fleet
