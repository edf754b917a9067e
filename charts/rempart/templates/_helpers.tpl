{{/* The namespace of all that has one. */}}
{{- define "rempart.namespace" -}}
{{ .Values.namespaceOverride | default .Release.Namespace }}
{{- end }}

{{/* The name of what no admission policy and no lease knows by its name. */}}
{{- define "rempart.name" -}}
{{ .Values.fullnameOverride | default "rempart" }}
{{- end }}

{{/* Labels of every object of the chart, as they stand in it. Never those that select: selectors of a Deployment cannot change. */}}
{{- define "rempart.labels" -}}
{{- $own := dict "app.kubernetes.io/name" "rempart" "app.kubernetes.io/instance" .Release.Name -}}
{{- $_ := set $own "app.kubernetes.io/managed-by" .Release.Service -}}
{{- $_ := set $own "app.kubernetes.io/version" .Chart.AppVersion -}}
{{- $_ := set $own "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version) -}}
{{- toYaml (merge $own (.Values.commonLabels | default dict)) -}}
{{- end }}

{{/* Labels and annotations of an object: those of the chart (root), with labels and annotations of its own, which win. */}}
{{- define "rempart.metadata" -}}
labels:
  {{- toYaml (merge (dict) (.labels | default dict) (fromYaml (include "rempart.labels" .root))) | nindent 2 }}
{{- with merge (dict) (.annotations | default dict) (.root.Values.commonAnnotations | default dict) }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* The same of the pods of a Deployment or a hook: with labels of its own, by which it may be selected. */}}
{{- define "rempart.podMetadata" -}}
{{- $values := .root.Values -}}
{{- $labels := dict "app.kubernetes.io/name" "rempart" "app.kubernetes.io/instance" .root.Release.Name -}}
labels:
  {{- toYaml (merge (dict) .labels $labels ($values.podLabels | default dict) ($values.commonLabels | default dict)) | nindent 2 }}
{{- with merge (dict) ($values.podAnnotations | default dict) ($values.commonAnnotations | default dict) }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Namespaces that no policy reaches: those of Kubernetes itself, those of the values, and always the operator's own,
so that a wrong policy can never keep the operator itself from starting. */}}
{{- define "rempart.exemptNamespaces" -}}
{{- $names := concat (list "kube-system" "kube-public" "kube-node-lease" (include "rempart.namespace" .)) (.Values.exemptNamespaces | default list) -}}
{{- $presets := .Files.Get "files/exempt-namespaces.yaml" | fromYaml -}}
{{- range .Values.exemptNamespacePresets -}}
{{- $names = concat $names (get $presets .).namespaces -}}
{{- end -}}
{{ $names | uniq | sortAlpha | join "," }}
{{- end }}

{{/* Refuses values of another version in a sentence, where a template would meet a value that is not there. */}}
{{- define "rempart.requireValues" -}}
{{- range list "exemptNamespacePresets" "probes" "leaderElection" "podDisruptionBudget" "podSecurityContext" "securityContext" "networkPolicy" "people" -}}
{{- if not (hasKey $.Values .) -}}
{{- fail (printf "The value %s is missing, as it is when `helm upgrade --reuse-values` takes the values of an older version of this chart alone. Use --reset-then-reuse-values instead, which takes what is new from this one." .) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Refuses clusters that cannot hold the promise, in a sentence instead of a failed apply. */}}
{{- define "rempart.requireCluster" -}}
{{- if eq (include "rempart.namespace" .) "default" -}}
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

{{/* Who the processes of a pod are. OpenShift gives each namespace users of its own and refuses others. */}}
{{- define "rempart.podSecurity" -}}
{{- $context := deepCopy .Values.podSecurityContext -}}
{{- if .Capabilities.APIVersions.Has "security.openshift.io/v1" -}}
{{- range list "runAsUser" "runAsGroup" -}}
{{- if eq (get $context . | toString) "65532" -}}
{{- $_ := unset $context . -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- with $context -}}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* What a container may, and what it finds: its security context, volumes and resources. */}}
{{- define "rempart.container" -}}
image: {{ include "rempart.image" .root }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
{{- with .root.Values.securityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.extraVolumeMounts }}
volumeMounts:
  {{- toYaml . | nindent 2 }}
{{- end }}
resources:
  {{- toYaml .resources | nindent 2 }}
{{- end }}

{{/* Where a pod may run, and what it may mount. */}}
{{- define "rempart.pod" -}}
{{- with .Values.operator.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.operator.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.extraVolumes }}
volumes:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
