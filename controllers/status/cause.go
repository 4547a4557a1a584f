package status

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

// cause is why pods of a Deployment do not run or do not become ready, by what Kubernetes says.
type cause struct {
	// reason is a reason of api/v1alpha1.
	reason string
	// message has the words of Kubernetes and the remedy.
	message string
}

// podFields names the fields that decide about the pods of a Deployment, for remedies.
type podFields struct {
	// image decides about the image.
	image string
	// resources decides about requests and limits.
	resources string
	// placement decides about nodes.
	placement string
	// priority decides about the priority class.
	priority string
	// metadata decides about labels and annotations.
	metadata string
	// process decides about what the container reads when it starts.
	process string
	// size decides about the number of pods in the namespace.
	size string
}

// gatewayFields are the fields of the gateways' pods.
var gatewayFields = podFields{
	image:     "spec.image, or --gateway-image of the operator",
	resources: "spec.resources",
	placement: "spec.resources, spec.pod.tolerations, spec.pod.nodeSelector and spec.pod.affinity",
	priority:  "spec.pod.priorityClassName",
	metadata:  "spec.pod",
	process:   "spec.gateway and spec.pod.env",
	size:      "spec.replicas",
}

// redisFields are the fields of the managed Redis' pod.
var redisFields = podFields{
	image:     "--redis-image of the operator",
	resources: "spec.redis.managed.resources",
	placement: "spec.redis.managed",
	priority:  "spec.redis.managed",
	metadata:  "spec.redis.managed",
	process:   "spec.redis.managed.resources",
	size:      "spec.replicas",
}

// metricsAPIFields are the fields of the metrics API's pods.
var metricsAPIFields = podFields{
	image:     "the image of its Deployment",
	resources: "the resources of its Deployment",
	placement: "the resources, tolerations and nodeSelector of its Deployment",
	priority:  "the priorityClassName of its Deployment",
	metadata:  "the pod template of its Deployment",
	process:   "the container of its Deployment",
	size:      "its replicas",
}

// findCause returns why the Deployment has fewer running pods than it asks for, or nil when Kubernetes says nothing. It
// looks only at pods of the newest version: those of an older one are being replaced.
func findCause(deployment *appsv1.Deployment, pods []corev1.Pod, fields podFields) *cause {
	if deployment == nil {
		return nil
	}
	if found := refusedPods(deployment, fields); found != nil {
		return found
	}
	for _, pod := range newestVersion(pods) {
		if found := podCause(pod, fields); found != nil {
			return found
		}
	}
	return nil
}

// newestVersion returns the pods of the newest pod's version that are to run, the newest first.
func newestVersion(pods []corev1.Pod) []*corev1.Pod {
	var running []*corev1.Pod
	for i := range pods {
		if g := (gateway{pod: &pods[i]}); pods[i].DeletionTimestamp == nil && !g.finished() {
			running = append(running, &pods[i])
		}
	}
	slices.SortFunc(running, func(a, b *corev1.Pod) int {
		return cmp.Or(b.CreationTimestamp.Compare(a.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
	return slices.DeleteFunc(running, func(pod *corev1.Pod) bool { return versionOf(pod) != versionOf(running[0]) })
}

func versionOf(pod *corev1.Pod) string { return pod.Labels[appsv1.DefaultDeploymentUniqueLabelKey] }

// refusedPods returns the cause when Kubernetes refuses to create pods of the Deployment.
func refusedPods(deployment *appsv1.Deployment, fields podFields) *cause {
	for _, one := range deployment.Status.Conditions {
		if one.Type == appsv1.DeploymentReplicaFailure && one.Status == corev1.ConditionTrue {
			words := strip(one.Message, podIsForbidden)
			return &cause{
				reason:  v1alpha1.ReasonPodsRefused,
				message: "Kubernetes refuses to create pods: " + excerpt(words) + ": " + refusalRemedy(words, fields),
			}
		}
	}
	return nil
}

// podIsForbidden is how a refusal begins. The pod's name in it is another one at each attempt.
var podIsForbidden = regexp.MustCompile(`^pods "[^"]*" is forbidden: `)

// refusalRemedy returns what the user can do about a refused pod, by the API server's words.
func refusalRemedy(words string, fields podFields) string {
	switch {
	case strings.Contains(words, "exceeded quota"):
		return "raise the ResourceQuota, or lower " + fields.resources + " or " + fields.size
	case strings.Contains(words, "failed quota"):
		return "set the requests and limits that the ResourceQuota asks for in " + fields.resources
	case strings.Contains(words, "PriorityClass"):
		return "name a PriorityClass that exists in " + fields.priority
	case strings.Contains(words, "usage per "):
		return "keep " + fields.resources + " within the LimitRange"
	default:
		return "change the policy, or what it refuses in " + fields.resources + " and " + fields.metadata
	}
}

// podCause returns why the pod is not ready, or nil when Kubernetes says nothing about it.
func podCause(pod *corev1.Pod, fields podFields) *cause {
	if (gateway{pod: pod}).ready() {
		return nil
	}
	if found := unschedulable(pod, fields); found != nil {
		return found
	}
	for _, container := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		if found := containerCause(container, fields); found != nil {
			return found
		}
	}
	return nil
}

// PodTrouble returns why the pod is not ready, in Kubernetes' own words, or "" when Kubernetes says nothing about it.
// The status depends on it.
func PodTrouble(pod *corev1.Pod) string {
	if found := podCause(pod, podFields{}); found != nil {
		return found.message
	}
	return ""
}

// unschedulable returns the cause when no node takes the pod.
func unschedulable(pod *corev1.Pod, fields podFields) *cause {
	for _, one := range pod.Status.Conditions {
		if one.Type == corev1.PodScheduled && one.Status == corev1.ConditionFalse &&
			one.Reason == corev1.PodReasonUnschedulable {
			words := strip(one.Message, schedulerDetails)
			return &cause{
				reason: v1alpha1.ReasonUnschedulable,
				message: "no node takes the pod: " + excerpt(words) + ": add a node, or change " +
					fields.placement,
			}
		}
	}
	return nil
}

// schedulerDetails is what the scheduler adds about evicting other pods.
var schedulerDetails = regexp.MustCompile(`(?s)\.? (no new claims to deallocate|preemption: ).*$`)

// containerCause returns why the container does not run, or nil when Kubernetes says nothing about it.
func containerCause(container corev1.ContainerStatus, fields podFields) *cause {
	if end := crash(container); end != nil {
		return crashCause(end, fields)
	}
	waiting := container.State.Waiting
	if waiting == nil {
		return nil
	}
	switch waiting.Reason {
	case "ContainerCreating":
		if waiting.Message == "" {
			return nil
		}
		return notStarted(waiting, fields)
	case "ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName", "ImageInspectError",
		"RegistryUnavailable", "SignatureValidationFailed":
		return &cause{
			reason: v1alpha1.ReasonImagePullFailed,
			message: fmt.Sprintf("the node cannot pull the image %s: %s: correct %s",
				container.Image, excerpt(strip(waiting.Message, pullBackOff)), fields.image),
		}
	case "CreateContainerConfigError", "CreateContainerError", "RunContainerError":
		return notStarted(waiting, fields)
	default:
		return nil
	}
}

// notStarted returns the cause when the node cannot start the container.
func notStarted(waiting *corev1.ContainerStateWaiting, fields podFields) *cause {
	return &cause{
		reason: v1alpha1.ReasonContainerNotStarted,
		message: "the node cannot start the container: " + excerpt(waiting.Message) + ": correct " +
			fields.process + ", or create what is missing",
	}
}

// pullBackOff is what the kubelet puts before the error of the last pull while it waits for the next one. Without it,
// both states of a failing pull have the same words.
var pullBackOff = regexp.MustCompile(`^Back-off pulling image "[^"]*"(: ErrImagePull: )?`)

// crash returns how the container ended when it ends again and again. A container that has ended twice and is not ready
// is between two of its ends.
func crash(container corev1.ContainerStatus) *corev1.ContainerStateTerminated {
	waiting := container.State.Waiting
	if (waiting == nil || waiting.Reason != "CrashLoopBackOff") && (container.Ready || container.RestartCount < 2) {
		return nil
	}
	if end := container.State.Terminated; end != nil {
		return end
	}
	return container.LastTerminationState.Terminated
}

// crashCause returns the cause by the container's end.
func crashCause(end *corev1.ContainerStateTerminated, fields podFields) *cause {
	found := &cause{reason: v1alpha1.ReasonCrashLooping}
	switch words := lastLine(end.Message); {
	case end.Reason == "OOMKilled":
		found.message = fmt.Sprintf("the container ends again and again: it needs more memory than its limit "+
			"(%s, exit code %d): raise the memory in %s", end.Reason, end.ExitCode, fields.resources)
	case words != "":
		found.message = fmt.Sprintf("the container ends again and again (exit code %d): %s: correct %s",
			end.ExitCode, excerpt(words), fields.process)
	default:
		found.message = fmt.Sprintf("the container ends again and again (%s, exit code %d): "+
			"see kubectl logs --previous, and correct %s", end.Reason, end.ExitCode, fields.process)
	}
	return found
}

// lastLine returns the last line of a container's termination message, which has the error that the program ended with.
func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}

// strip removes what matches from the text.
func strip(text string, what *regexp.Regexp) string { return what.ReplaceAllString(text, "") }

// maxExcerpt is the maximum length in bytes of the words of Kubernetes in a message.
const maxExcerpt = 400

// excerpt returns the text in one line, without a full stop at its end, and cut to maxExcerpt bytes.
func excerpt(text string) string {
	text = strings.TrimSuffix(strings.Join(strings.Fields(text), " "), ".")
	if len(text) <= maxExcerpt {
		return text
	}
	return strings.ToValidUTF8(text[:maxExcerpt], "") + " ..."
}

// causeOr returns the cause's message, or text without a cause.
func causeOr(found *cause, text string) string {
	if found == nil {
		return text
	}
	return found.message
}
