{{/* Labels of every object of the chart. */}}
{{- define "rempart.labels" -}}
app.kubernetes.io/name: rempart
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{/* Namespaces that no policy reaches: those of the values, and always the operator's own,
so that a wrong policy can never keep the operator itself from starting. */}}
{{- define "rempart.exemptNamespaces" -}}
{{ append .Values.exemptNamespaces .Release.Namespace | uniq | sortAlpha | join "," }}
{{- end }}

{{/* Refuses clusters that cannot hold the promise, in a sentence instead of a failed apply. */}}
{{- define "rempart.requireCluster" -}}
{{- if eq .Release.Namespace "default" -}}
{{- fail "Rempart's own namespace is exempt from every policy, and `default` is where people put workloads: install it into a namespace of its own, with --namespace rempart-system --create-namespace." -}}
{{- end -}}
{{- $version := .Capabilities.KubeVersion.Version -}}
{{- if semverCompare "<1.30.0-0" $version -}}
{{- fail (printf "Rempart needs Kubernetes 1.30 or newer, where ValidatingAdmissionPolicy is stable; this cluster is %s. Upgrade the cluster, then install Rempart." $version) -}}
{{- end -}}
{{- if and (eq .Values.mutation "Policies") (ne (include "rempart.servesMutations" .) "true") -}}
{{- fail (printf "This API server (%s) does not serve MutatingAdmissionPolicy of admissionregistration.k8s.io/v1, as `mutation: Policies` demands. Leave mutation at Auto, which takes a webhook here, or start kube-apiserver 1.36 or newer without disabling that API or the MutatingAdmissionPolicy feature." $version) -}}
{{- end -}}
{{- end }}

{{/* Whether the API server serves mutating admission policies. Kinds are known only when a cluster answered; rendering offline
lists groups and versions alone, and the version of Kubernetes decides. */}}
{{- define "rempart.servesMutations" -}}
{{- $apis := .Capabilities.APIVersions -}}
{{- if $apis.Has "admissionregistration.k8s.io/v1/ValidatingAdmissionPolicy" -}}
{{- $apis.Has "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy" -}}
{{- else -}}
{{- semverCompare ">=1.36.0-0" .Capabilities.KubeVersion.Version -}}
{{- end -}}
{{- end }}

{{/* Who completes pods and pod templates: policies, webhook or none. */}}
{{- define "rempart.mutation" -}}
{{- if eq .Values.mutation "Auto" -}}
{{- eq (include "rempart.servesMutations" .) "true" | ternary "policies" "webhook" -}}
{{- else -}}
{{- lower .Values.mutation -}}
{{- end -}}
{{- end }}

{{/* The image of everything that runs. */}}
{{- define "rempart.image" -}}
{{ printf "%s%s" .Values.image.repository (.Values.image.digest | empty | ternary (printf ":%s" (.Values.image.tag | default .Chart.AppVersion)) (printf "@%s" .Values.image.digest)) | quote }}
{{- end }}

{{/* Who its processes are, and what they may. */}}
{{- define "rempart.podSecurity" -}}
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  seccompProfile:
    type: RuntimeDefault
{{- end }}

{{- define "rempart.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end }}
